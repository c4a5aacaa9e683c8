"""What queries and mutations of prices take."""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.price import (
    LONGEST_TRIAL_DAYS,
    Billing,
    ChargeKind,
    CreatePrice,
    InvoiceTiming,
    PriceStatus,
)
from app.catalog.prices import NO_ADJUSTMENTS
from app.graphql.cadences import CadenceInput, CadenceUnit
from app.graphql.catalog.adjustments import AdjustmentsInput
from app.graphql.catalog.price_model_inputs import PriceModelInput
from app.graphql.catalog.price_models import PriceModelKind
from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    MetadataFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.graphql.scalars import Metadata
from app.kernel.listing import Condition, Or, Where
from app.kernel.period import Cadence

strawberry.enum(ChargeKind, description="What the quantity is: held, or counted by a meter.")
strawberry.enum(Billing, description="How often a charge is made.")
strawberry.enum(InvoiceTiming, description="On the invoice of the period's start, or of its end.")
strawberry.enum(PriceStatus, description="Whether a price is without an end.")


@strawberry.input(description="In force at an instant: begun by then, and not ended.")
class InForceFilter:
    at: datetime = strawberry.field(description="The instant.")

    def conditions(self, _column: str, _path: str) -> Iterator[Where]:
        """The filter's name is no column: it speaks of two."""
        yield Condition("effective_from", "lte", self.at)
        without_end = Condition("effective_until", "is_null", value=True)
        yield Or((without_end, Condition("effective_until", "gt", self.at)))


@strawberry.input(description="Which prices to list; all conditions given must hold.")
class PriceFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    plan_id: IdFilter | None = strawberry.field(description="By plan.", default=UNSET)
    plan_version_id: IdFilter | None = strawberry.field(
        description="By version of a plan.", default=UNSET
    )
    addon_id: IdFilter | None = strawberry.field(description="By addon.", default=UNSET)
    subscription_id: IdFilter | None = strawberry.field(
        description="By the subscription whose own they are.", default=UNSET
    )
    overrides_id: IdFilter | None = strawberry.field(
        description="By the price that they are paid instead of.", default=UNSET
    )
    offered: BooleanFilter | None = strawberry.field(
        description="By whether new subscriptions can take them.", default=UNSET
    )
    lineage_id: IdFilter | None = strawberry.field(
        description="By what they share with those they replaced and their copies.", default=UNSET
    )
    feature_id: IdFilter | None = strawberry.field(
        description="By the feature they charge for.", default=UNSET
    )
    meter_id: IdFilter | None = strawberry.field(
        description="By the meter that counts them.", default=UNSET
    )
    group_id: IdFilter | None = strawberry.field(description="By group.", default=UNSET)
    lookup_key: StringFilter | None = strawberry.field(
        description="By the name that programs use.", default=UNSET
    )
    display_name: StringFilter | None = strawberry.field(
        description="By the name on invoices.", default=UNSET
    )
    charge: EnumFilter[ChargeKind] | None = strawberry.field(
        description="By what the quantity is.", default=UNSET
    )
    billing: EnumFilter[Billing] | None = strawberry.field(
        description="By how often they are charged.", default=UNSET
    )
    model: EnumFilter[PriceModelKind] | None = strawberry.field(
        description="By price model.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    price_unit_id: IdFilter | None = strawberry.field(
        description="By the unit that their amounts are in.", default=UNSET
    )
    timing: EnumFilter[InvoiceTiming] | None = strawberry.field(
        description="By invoice.", default=UNSET
    )
    cadence_unit: EnumFilter[CadenceUnit] | None = strawberry.field(
        description="By the unit of their cadence.", default=UNSET
    )
    content_hash: StringFilter | None = strawberry.field(
        description="By their substance.", default=UNSET
    )
    status: EnumFilter[PriceStatus] | None = strawberry.field(
        description="By whether they are without an end.", default=UNSET
    )
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    effective_from: DateTimeFilter | None = strawberry.field(
        description="By when they begin.", default=UNSET
    )
    effective_until: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    in_force: InForceFilter | None = strawberry.field(
        description="By whether they are in force at an instant.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["PriceFilter"] | None = and_filters()
    or_: list["PriceFilter"] | None = or_filters()
    not_: "PriceFilter | None" = not_filter()


@strawberry.enum(description="What prices can be ordered by.")
class PriceOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    DISPLAY_NAME = strawberry.enum_value("display_name", description="Their name on invoices.")
    EFFECTIVE_FROM = strawberry.enum_value("effective_from", description="When they begin.")
    EFFECTIVE_UNTIL = strawberry.enum_value(
        "effective_until", description="When they end; those without an end after all others."
    )
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of prices.")
class PriceOrder:
    field: PriceOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new price of a plan or an addon.")
class PriceCreateInput:
    display_name: str = strawberry.field(description="As invoices will show it.")
    charge: ChargeKind = strawberry.field(description="What the quantity is.")
    model: PriceModelInput = strawberry.field(description="How the quantity becomes an amount.")
    currency: str = strawberry.field(description="ISO 4217 code.")
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan to add it to: to its current version or its draft, whichever there "
        "is.",
        default=None,
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version of the plan to add it to; needed where there are a current one "
        "and a draft.",
        default=None,
    )
    addon_id: strawberry.ID | None = strawberry.field(
        description="The addon to add it to, instead of a plan.", default=None
    )
    price_unit_id: strawberry.ID | None = strawberry.field(
        description="A unit that the amounts of model and adjustments are in, worth the currency; "
        "the price takes its present rate. Null: they are in the currency.",
        default=None,
    )
    cadence: CadenceInput | None = strawberry.field(
        description="How often it is charged; null: monthly.", default=None
    )
    timing: InvoiceTiming = strawberry.field(
        description="On which invoice it is charged; usage always in arrears.",
        default=InvoiceTiming.ARREARS,
    )
    feature_id: strawberry.ID | None = strawberry.field(
        description="The metered feature that a usage charge measures.", default=None
    )
    billing: Billing = strawberry.field(
        description="How often it is charged.", default=Billing.RECURRING
    )
    adjustments: AdjustmentsInput | None = strawberry.field(
        description="What is done to the quantity before the model and to the amount after it.",
        default=None,
    )
    group_by: list[str] = strawberry.field(
        description="Dimensions of the feature's meter, for a line per combination of values.",
        default_factory=list,
    )
    trial_days: int = strawberry.field(
        description="For how many days from a line's start a recurring fixed charge is free; "
        f"up to {LONGEST_TRIAL_DAYS}.",
        default=0,
    )
    lookup_key: str | None = strawberry.field(description="As programs will name it.", default=None)
    group_id: strawberry.ID | None = strawberry.field(
        description="A group of prices to show it together with.", default=None
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)
    effective_from: datetime | None = strawberry.field(
        description="New subscriptions take it from then; null: from now.", default=None
    )

    def command(self) -> CreatePrice:
        """Raises: Invalid."""
        return CreatePrice(
            plan_id=self.plan_id,
            plan_version_id=self.plan_version_id,
            addon_id=self.addon_id,
            display_name=self.display_name,
            charge=self.charge,
            model=self.model.row(),
            currency=self.currency,
            price_unit_id=self.price_unit_id,
            cadence=Cadence("month") if self.cadence is None else self.cadence.row(),
            timing=self.timing,
            feature_id=self.feature_id,
            billing=self.billing,
            adjustments=NO_ADJUSTMENTS if self.adjustments is None else self.adjustments.row(),
            group_by=tuple(self.group_by),
            trial_days=self.trial_days,
            lookup_key=self.lookup_key,
            group_id=self.group_id,
            metadata=self.metadata or {},
            effective_from=self.effective_from,
        )


@strawberry.input(
    description="Changes to a price. A field that is absent stays as it is; null clears."
)
class PriceUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which price.")
    display_name: strawberry.Maybe[str] = strawberry.field(description="As invoices will show it.")
    lookup_key: strawberry.Maybe[str | None] = strawberry.field(
        description="As programs will name it."
    )
    group_id: strawberry.Maybe[strawberry.ID | None] = strawberry.field(
        description="A group of prices to show it together with."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )
    model: strawberry.Maybe[PriceModelInput] = strawberry.field(
        description="How the quantity becomes an amount."
    )
    timing: strawberry.Maybe[InvoiceTiming] = strawberry.field(
        description="On which invoice it is charged."
    )
    adjustments: strawberry.Maybe[AdjustmentsInput | None] = strawberry.field(
        description="What is done to the quantity before the model and to the amount after it; "
        "replaces all of it, and null takes it off."
    )
    group_by: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="Dimensions of the feature's meter, for a line per combination of values; "
        "null: one line."
    )
    trial_days: strawberry.Maybe[int] = strawberry.field(
        description="For how many days from a line's start it is free."
    )
    refresh_rate: bool = strawberry.field(
        description="Take the present rate of the price's unit, which is a change of what is "
        "charged.",
        default=False,
    )
    effective_from: strawberry.Maybe[datetime | None] = strawberry.field(
        description="When a change of the model, adjustments, timing, grouping or trial takes "
        "effect; not in the past. "
        "Absent or null: now."
    )

    def patch(self) -> dict[str, Any]:
        """Raises: Invalid."""
        changes = present(self, without=("id",))
        if isinstance(changes.get("model"), PriceModelInput):
            changes["model"] = changes["model"].row()
        if "adjustments" in changes:
            given = changes["adjustments"]
            changes["adjustments"] = NO_ADJUSTMENTS if given is None else given.row()
        if "group_by" in changes:
            changes["group_by"] = tuple(changes["group_by"] or ())
        return changes


@strawberry.input(description="The price to end.")
class PriceArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which price.")
    effective_until: datetime | None = strawberry.field(
        description="When it ends; not in the past. Null: now.", default=None
    )


@strawberry.input(description="The price to take off a draft.")
class PriceDeleteInput:
    id: strawberry.ID = strawberry.field(description="Which price.")


@strawberry.input(description="The price to take the end off.")
class PriceRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which price.")
