"""What queries and mutations of changes of subscriptions take."""

from decimal import Decimal
from enum import Enum

import strawberry
from strawberry import UNSET

from app.graphql.catalog.adjustments import AdjustmentsInput
from app.graphql.catalog.price_model_inputs import PriceModelInput
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction as Way
from app.graphql.subscription_addons import (
    SubscriptionAddonAttachInput,
    SubscriptionAddonDetachInput,
    SubscriptionAddonQuantityChangeInput,
)
from app.graphql.subscription_change_timing import ChangeInput
from app.graphql.subscription_change_timing import ChangeMode as ChangeMode
from app.graphql.subscription_change_timing import Proration as Proration
from app.graphql.subscription_overrides import (
    SubscriptionPriceOverrideInput,
    overrides_of,
    terms_of,
)
from app.graphql.subscription_phases import SubscriptionPhasesSetInput
from app.graphql.subscription_quantities import HeldQuantityInput, held
from app.graphql.subscription_verbs import SubscriptionCancelInput
from app.subscriptions.actions import RequestChange
from app.subscriptions.change import (
    ChangePlan,
    ChangePrice,
    ChangeQuantity,
    SubscriptionChangeKind,
    SubscriptionChangeStatus,
)
from app.subscriptions.change import Direction as Direction

strawberry.enum(
    Direction,
    name="SubscriptionChangeDirection",
    description="How the recurring fixed fees compare with what they were.",
)
strawberry.enum(SubscriptionChangeKind, description="What changes.")
strawberry.enum(SubscriptionChangeStatus, description="What became of a change.")


@strawberry.input(description="Another quantity of a fixed charge.")
class SubscriptionQuantityChangeInput(ChangeInput):
    line_item_id: strawberry.ID = strawberry.field(
        description="Which of its lines; one that another has taken over from stands for it."
    )
    quantity: Decimal = strawberry.field(description="How much is to be held; not negative.")

    def command(self) -> RequestChange:
        return self.requested(
            ChangeQuantity(line_item_id=self.line_item_id, quantity=self.quantity)
        )


@strawberry.input(description="A price of the subscription's own, for a line.")
class SubscriptionPriceChangeInput(ChangeInput):
    line_item_id: strawberry.ID = strawberry.field(
        description="Which of its lines; one that another has taken over from stands for it."
    )
    model: PriceModelInput | None = strawberry.field(
        description="How the quantity becomes an amount; null: as the line has it.", default=None
    )
    adjustments: AdjustmentsInput | None = strawberry.field(
        description="What is done to the quantity before the model and to the amount after it, "
        "all of it; null: as the line has it.",
        default=None,
    )
    quantity: Decimal | None = strawberry.field(
        description="How much of a fixed charge is held from then on; null: as the line has it.",
        default=None,
    )

    def command(self) -> RequestChange:
        """Raises: Invalid."""
        return self.requested(
            ChangePrice(
                line_item_id=self.line_item_id,
                terms=terms_of(self.model, self.adjustments),
                quantity=self.quantity,
            )
        )


@strawberry.input(description="The catalogue's price again, for a line with one of its own.")
class SubscriptionPriceRestoreInput(ChangeInput):
    line_item_id: strawberry.ID = strawberry.field(
        description="Which of its lines; one that another has taken over from stands for it."
    )

    def command(self) -> RequestChange:
        return self.requested(ChangePrice(line_item_id=self.line_item_id, terms=None))


@strawberry.input(description="Another plan, or another version of the plan.")
class SubscriptionPlanChangeInput(ChangeInput):
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan to go over to, to its current version unless one is named.",
        default=None,
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version to go over to, which is published.", default=None
    )
    price_ids: list[strawberry.ID] | None = strawberry.field(
        description="Its prices to buy; null: the recurring ones in the subscription's currency "
        "and cadence.",
        default=None,
    )
    quantities: list[HeldQuantityInput] | None = strawberry.field(
        description="How much of fixed charges is held; of those not named as much as of the "
        "line that the price takes over from, else 1.",
        default=None,
    )
    overrides: list[SubscriptionPriceOverrideInput] | None = strawberry.field(
        description="Prices of the subscription's own, instead of some that it buys.",
        default=None,
    )
    keep_overrides: bool = strawberry.field(
        description="Whether the subscription has what it has of its own also in the prices that "
        "take over; else its own prices end.",
        default=False,
    )

    def command(self) -> RequestChange:
        what = ChangePlan(
            plan_id=self.plan_id,
            plan_version_id=self.plan_version_id,
            price_ids=None if self.price_ids is None else tuple(self.price_ids),
            quantities=held(self.quantities),
            overrides=overrides_of(self.overrides),
            keeps_overrides=self.keep_overrides,
        )
        return self.requested(what)


# What asks for a change of a running subscription, and makes its command.
AskedChange = (
    SubscriptionQuantityChangeInput
    | SubscriptionPriceChangeInput
    | SubscriptionPriceRestoreInput
    | SubscriptionPlanChangeInput
    | SubscriptionAddonAttachInput
    | SubscriptionAddonDetachInput
    | SubscriptionAddonQuantityChangeInput
)


@strawberry.input(description="A change to look at before it is made: exactly one.", one_of=True)
class SubscriptionChangePreviewInput:
    quantity: strawberry.Maybe[SubscriptionQuantityChangeInput] = strawberry.field(
        description="As `subscriptionQuantityChange` would make it."
    )
    price: strawberry.Maybe[SubscriptionPriceChangeInput] = strawberry.field(
        description="As `subscriptionPriceChange` would make it."
    )
    price_restore: strawberry.Maybe[SubscriptionPriceRestoreInput] = strawberry.field(
        description="As `subscriptionPriceRestore` would make it."
    )
    plan: strawberry.Maybe[SubscriptionPlanChangeInput] = strawberry.field(
        description="As `subscriptionPlanChange` would make it."
    )
    addon_attach: strawberry.Maybe[SubscriptionAddonAttachInput] = strawberry.field(
        description="As `subscriptionAddonAttach` would make it."
    )
    addon_detach: strawberry.Maybe[SubscriptionAddonDetachInput] = strawberry.field(
        description="As `subscriptionAddonDetach` would make it."
    )
    addon_quantity: strawberry.Maybe[SubscriptionAddonQuantityChangeInput] = strawberry.field(
        description="As `subscriptionAddonQuantityChange` would make it."
    )
    phases: strawberry.Maybe[SubscriptionPhasesSetInput] = strawberry.field(
        description="The first of the phases, as `subscriptionPhasesSet` would set them."
    )
    cancel: strawberry.Maybe[SubscriptionCancelInput] = strawberry.field(
        description="As `subscriptionCancel` would make it."
    )

    @property
    def change(self) -> AskedChange | SubscriptionPhasesSetInput | SubscriptionCancelInput:
        of_lines = (self.quantity, self.price, self.price_restore, self.plan)
        of_addons = (self.addon_attach, self.addon_detach, self.addon_quantity)
        every = (*of_lines, *of_addons, self.phases, self.cancel)
        (given,) = (each for each in every if each is not None)
        return given.value


@strawberry.input(description="Which changes to list; all conditions given must hold.")
class SubscriptionChangeFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By subscription.", default=UNSET
    )
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    kind: EnumFilter[SubscriptionChangeKind] | None = strawberry.field(
        description="By what changes.", default=UNSET
    )
    status: EnumFilter[SubscriptionChangeStatus] | None = strawberry.field(
        description="By what became of them.", default=UNSET
    )
    proration: EnumFilter[Proration] | None = strawberry.field(
        description="By what becomes of fees in advance.", default=UNSET
    )
    direction: EnumFilter[Direction] | None = strawberry.field(
        description="By how the recurring fixed fees compare.", default=UNSET
    )
    failure_code: StringFilter | None = strawberry.field(
        description="By why they were refused when they came.", default=UNSET
    )
    effective_at: DateTimeFilter | None = strawberry.field(
        description="By when they take, or took, effect.", default=UNSET
    )
    applied_at: DateTimeFilter | None = strawberry.field(
        description="By when that was done.", default=UNSET
    )
    canceled_at: DateTimeFilter | None = strawberry.field(
        description="By when they were taken back.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were asked for.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["SubscriptionChangeFilter"] | None = and_filters()
    or_: list["SubscriptionChangeFilter"] | None = or_filters()
    not_: "SubscriptionChangeFilter | None" = not_filter()


@strawberry.enum(description="What changes can be ordered by.")
class SubscriptionChangeOrderField(Enum):
    EFFECTIVE_AT = strawberry.enum_value("effective_at", description="When they take effect.")
    APPLIED_AT = strawberry.enum_value("applied_at", description="When they were applied.")
    CREATED_AT = strawberry.enum_value("created_at", description="When they were asked for.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of changes.")
class SubscriptionChangeOrder:
    field: SubscriptionChangeOrderField = strawberry.field(description="What to order by.")
    direction: Way = strawberry.field(description="Which way.", default=Way.ASC)
