"""What queries and mutations of bulk migrations take."""

from datetime import datetime
from enum import Enum

import strawberry
from strawberry import UNSET

from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
    where,
)
from app.graphql.paging import Direction as Way
from app.graphql.subscription_change_inputs import ChangeMode, Proration
from app.graphql.subscription_inputs import SubscriptionFilter
from app.graphql.subscription_quantities import HeldQuantityInput
from app.subscriptions.change import ChangePlan, Timing
from app.subscriptions.migration import MigratePlan, MigrationItemStatus, MigrationStatus
from app.subscriptions.subscription import Held

strawberry.enum(
    MigrationStatus, name="PlanMigrationStatus", description="How far a bulk migration is."
)
strawberry.enum(
    MigrationItemStatus,
    name="PlanMigrationItemStatus",
    description="What came of a subscription of a bulk migration.",
)


@strawberry.input(
    description="Which subscriptions go over to which version of a plan, and when. Those that "
    "are over, and those on that version already, are left out."
)
class PlanMigrationStartInput:
    filter: SubscriptionFilter | None = strawberry.field(
        description="Which ones, such as those on the versions to leave; null: all.", default=None
    )
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan to go over to, to its current version unless one is named.",
        default=None,
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version to go over to, which is published.", default=None
    )
    price_ids: list[strawberry.ID] | None = strawberry.field(
        description="Its prices to buy; null: the recurring ones in each subscription's currency "
        "and cadence.",
        default=None,
    )
    quantities: list[HeldQuantityInput] | None = strawberry.field(
        description="How much of fixed charges each is to hold; of those not named each keeps "
        "what it holds of the line that the price takes over from, else 1.",
        default=None,
    )
    keep_overrides: bool = strawberry.field(
        description="Whether each has what it has of its own also in the prices that take over; "
        "else its own prices end.",
        default=True,
    )
    mode: ChangeMode = strawberry.field(
        description="When, each by its own period.", default=ChangeMode.PERIOD_END
    )
    at: datetime | None = strawberry.field(
        description="With the mode AT: at this instant, which lies in the future.", default=None
    )
    proration: Proration = strawberry.field(
        description="What becomes of fees in advance.", default=Proration.CREATE_PRORATIONS
    )

    def command(self) -> MigratePlan:
        what = ChangePlan(
            plan_id=self.plan_id,
            plan_version_id=self.plan_version_id,
            price_ids=None if self.price_ids is None else tuple(self.price_ids),
            quantities=tuple(Held(each.price_id, each.quantity) for each in self.quantities or ()),
            keeps_overrides=self.keep_overrides,
        )
        return MigratePlan(
            what=what,
            where=where(self.filter),
            timing=Timing(mode=self.mode, at=self.at),
            proration=self.proration,
        )


@strawberry.input(description="A bulk migration to break off.")
class PlanMigrationCancelInput:
    id: strawberry.ID = strawberry.field(description="Which one.")


@strawberry.input(description="Which bulk migrations to list; all conditions given must hold.")
class PlanMigrationFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    status: EnumFilter[MigrationStatus] | None = strawberry.field(
        description="By how far they are.", default=UNSET
    )
    plan_id: IdFilter | None = strawberry.field(
        description="By the plan to go over to.", default=UNSET
    )
    plan_version_id: IdFilter | None = strawberry.field(
        description="By the version to go over to.", default=UNSET
    )
    mode: EnumFilter[ChangeMode] | None = strawberry.field(
        description="By when subscriptions change.", default=UNSET
    )
    finished_at: DateTimeFilter | None = strawberry.field(
        description="By when none was pending any more.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were started.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last got on.", default=UNSET
    )
    and_: list["PlanMigrationFilter"] | None = and_filters()
    or_: list["PlanMigrationFilter"] | None = or_filters()
    not_: "PlanMigrationFilter | None" = not_filter()


@strawberry.enum(description="What bulk migrations can be ordered by.")
class PlanMigrationOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were started.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last got on.")
    FINISHED_AT = strawberry.enum_value("finished_at", description="When they were finished.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of bulk migrations.")
class PlanMigrationOrder:
    field: PlanMigrationOrderField = strawberry.field(description="What to order by.")
    direction: Way = strawberry.field(description="Which way.", default=Way.ASC)


@strawberry.input(
    description="Which subscriptions of bulk migrations to list; all conditions given must hold."
)
class PlanMigrationItemFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    migration_id: IdFilter | None = strawberry.field(description="By migration.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By subscription.", default=UNSET
    )
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    status: EnumFilter[MigrationItemStatus] | None = strawberry.field(
        description="By what came of them.", default=UNSET
    )
    from_plan_version_id: IdFilter | None = strawberry.field(
        description="By the version they were on.", default=UNSET
    )
    failure_code: StringFilter | None = strawberry.field(
        description="By why they were refused.", default=UNSET
    )
    done_at: DateTimeFilter | None = strawberry.field(
        description="By when they had their turn.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were selected.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["PlanMigrationItemFilter"] | None = and_filters()
    or_: list["PlanMigrationItemFilter"] | None = or_filters()
    not_: "PlanMigrationItemFilter | None" = not_filter()


@strawberry.enum(description="What subscriptions of bulk migrations can be ordered by.")
class PlanMigrationItemOrderField(Enum):
    DONE_AT = strawberry.enum_value("done_at", description="When they had their turn.")
    CREATED_AT = strawberry.enum_value("created_at", description="When they were selected.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ID = strawberry.enum_value("id", description="Their id, which is the order of their turns.")


@strawberry.input(description="One key of the order of subscriptions of bulk migrations.")
class PlanMigrationItemOrder:
    field: PlanMigrationItemOrderField = strawberry.field(description="What to order by.")
    direction: Way = strawberry.field(description="Which way.", default=Way.ASC)
