"""What queries and mutations of subscriptions take."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import strawberry
from strawberry import UNSET

from app.graphql.cadences import CadenceInput, CadenceUnit
from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    DecimalFilter,
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
from app.graphql.prorate_by import ProrateBy
from app.graphql.scalars import Metadata
from app.graphql.subscription_commitments import CommitmentInput, terms_of
from app.graphql.subscription_overrides import SubscriptionPriceOverrideInput, overrides_of
from app.graphql.subscription_phases import PhasesEnd, SubscriptionPhaseInput, phases_of
from app.graphql.subscription_quantities import BoughtAddonInput, HeldQuantityInput, held
from app.kernel.period import Alignment, Cadence
from app.subscriptions.phases import SetPhases
from app.subscriptions.subscription import CancelMode as CancelMode
from app.subscriptions.subscription import CancelReason as CancelReason
from app.subscriptions.subscription import CollectionMethod as CollectionMethod
from app.subscriptions.subscription import (
    CreateSubscription,
    PaymentTerms,
    SubscriptionStatus,
)

strawberry.enum(SubscriptionStatus, description="Where a subscription is in its life.")
strawberry.enum(CancelMode, name="SubscriptionCancelMode", description="When to end it.")
strawberry.enum(CancelReason, name="SubscriptionCancelReason", description="Why it ends.")
strawberry.enum(CollectionMethod, description="How invoices are to be paid.")


@strawberry.enum(description="Where billing periods begin.")
class BillingAlignment(Enum):
    ANNIVERSARY = strawberry.enum_value(
        "anniversary", description="At the local date and time of the anchor."
    )
    CALENDAR = strawberry.enum_value(
        "calendar", description="With the local day, week, month or year; the first may be short."
    )


@strawberry.input(description="Which subscriptions to list; all conditions given must hold.")
class SubscriptionFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    plan_id: IdFilter | None = strawberry.field(description="By plan.", default=UNSET)
    plan_version_id: IdFilter | None = strawberry.field(
        description="By version of a plan.", default=UNSET
    )
    status: EnumFilter[SubscriptionStatus] | None = strawberry.field(
        description="By where they are in their life.", default=UNSET
    )
    currency: StringFilter | None = strawberry.field(description="By currency.", default=UNSET)
    alignment: EnumFilter[BillingAlignment] | None = strawberry.field(
        description="By where their periods begin.", default=UNSET
    )
    cadence_unit: EnumFilter[CadenceUnit] | None = strawberry.field(
        description="By the unit of their cadence.", default=UNSET
    )
    starts_at: DateTimeFilter | None = strawberry.field(
        description="By when they start.", default=UNSET
    )
    ends_at: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    trial_ends_at: DateTimeFilter | None = strawberry.field(
        description="By when their trial ends.", default=UNSET
    )
    cancel_requested_at: DateTimeFilter | None = strawberry.field(
        description="By when they were canceled, for then or for later.", default=UNSET
    )
    cancel_reason: EnumFilter[CancelReason] | None = strawberry.field(
        description="By why they were canceled.", default=UNSET
    )
    collection_method: EnumFilter[CollectionMethod] | None = strawberry.field(
        description="By how their invoices are to be paid.", default=UNSET
    )
    purchase_order: StringFilter | None = strawberry.field(
        description="By the customer's order number.", default=UNSET
    )
    parent_pays: BooleanFilter | None = strawberry.field(
        description="By whether the customer's parent pays, where they say so.", default=UNSET
    )
    auto_invoice_threshold: DecimalFilter | None = strawberry.field(
        description="By the amount of usage that is billed at once.", default=UNSET
    )
    committed: BooleanFilter | None = strawberry.field(
        description="By whether they have commitments that hold as long as they run.",
        default=UNSET,
    )
    billed_until: DateTimeFilter | None = strawberry.field(
        description="By the last instant whose bill is done.", default=UNSET
    )
    current_period_start: DateTimeFilter | None = strawberry.field(
        description="By the start of the period that billing has reached.", default=UNSET
    )
    current_period_end: DateTimeFilter | None = strawberry.field(
        description="By the end of the period that billing has reached.", default=UNSET
    )
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["SubscriptionFilter"] | None = and_filters()
    or_: list["SubscriptionFilter"] | None = or_filters()
    not_: "SubscriptionFilter | None" = not_filter()


@strawberry.enum(description="What subscriptions can be ordered by.")
class SubscriptionOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    STARTS_AT = strawberry.enum_value("starts_at", description="When they start.")
    ENDS_AT = strawberry.enum_value("ends_at", description="When they end; without end last.")
    TRIAL_ENDS_AT = strawberry.enum_value(
        "trial_ends_at", description="When their trial ends; without one last."
    )
    CURRENT_PERIOD_START = strawberry.enum_value(
        "current_period_start", description="Start of the period that billing has reached."
    )
    CURRENT_PERIOD_END = strawberry.enum_value(
        "current_period_end", description="End of the period that billing has reached."
    )
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of subscriptions.")
class SubscriptionOrder:
    field: SubscriptionOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new subscription.")
class SubscriptionCreateInput:
    customer_id: strawberry.ID = strawberry.field(description="Whom to bill.")
    plan_id: strawberry.ID = strawberry.field(description="What is bought.")
    draft: bool = strawberry.field(
        description="Bill nothing until it is activated; until then it may be edited.",
        default=False,
    )
    currency: str | None = strawberry.field(
        description="ISO 4217 code; null: the customer's.", default=None
    )
    timezone: str | None = strawberry.field(
        description="IANA zone; null: the customer's.", default=None
    )
    alignment: BillingAlignment = strawberry.field(
        description="Where periods begin.", default=BillingAlignment.ANNIVERSARY
    )
    cadence: CadenceInput | None = strawberry.field(
        description="How long periods are; null: a month.", default=None
    )
    starts_at: datetime | None = strawberry.field(
        description="Serve from then, past or future; null: from now.", default=None
    )
    ends_at: datetime | None = strawberry.field(
        description="Serve until then; null: until canceled.", default=None
    )
    anchor: datetime | None = strawberry.field(
        description="The instant whose local date and time anniversary periods repeat; null: "
        "the end of the trial, else the start.",
        default=None,
    )
    trial_ends_at: datetime | None = strawberry.field(
        description="Free of fees until then; null: as `trialDays` says.", default=None
    )
    trial_days: int | None = strawberry.field(
        description="Free of fees for so many local days; 0: no trial; null: as the prices say.",
        default=None,
    )
    bill_trial_usage: bool = strawberry.field(
        description="Whether to bill usage in the trial when it ends.", default=False
    )
    price_ids: list[strawberry.ID] | None = strawberry.field(
        description="Prices of the plan to buy, in the subscription's currency: those charged "
        "once, and those whose cadence is a whole number of its periods; null: all that are "
        "charged once or in its own cadence.",
        default=None,
    )
    quantities: list[HeldQuantityInput] | None = strawberry.field(
        description="How much of fixed charges is held; 1 of those not named.", default=None
    )
    overrides: list[SubscriptionPriceOverrideInput] | None = strawberry.field(
        description="Prices of its own, instead of some that it buys.", default=None
    )
    net_days: int | None = strawberry.field(
        description="Days from issue until its invoices are due, 0 to 365; null: as the "
        "environment says.",
        default=None,
    )
    collection_method: CollectionMethod = strawberry.field(
        description="How its invoices are to be paid.",
        default=CollectionMethod.CHARGE_AUTOMATICALLY,
    )
    purchase_order: str | None = strawberry.field(
        description="The customer's order number, printed on its invoices; at most 64 characters.",
        default=None,
    )
    auto_invoice_threshold: Decimal | None = strawberry.field(
        description="Bill usage at once when it comes to this amount, in the subscription's "
        "currency; null: at the period's end.",
        default=None,
    )
    coupon_ids: list[strawberry.ID] = strawberry.field(
        description="Coupons to attach to it. Unless all of them can be redeemed, nothing is "
        "created. At most 20, those by code included; needs coupon:write.",
        default_factory=list,
    )
    coupon_codes: list[str] = strawberry.field(
        description="The same by their codes, after those by id.", default_factory=list
    )
    commitments: list[CommitmentInput] | None = strawberry.field(
        description="What the customer promises to use, of prices and of all of them together.",
        default=None,
    )
    prorate_by: ProrateBy | None = strawberry.field(
        description="How parts of periods are measured, of which fixed charges cost a part; null: "
        "as the environment's settings say.",
        default=None,
    )
    parent_pays: bool | None = strawberry.field(
        description="Whether its invoices go to the customer's parent; null: as the customer says.",
        default=None,
    )
    family_usage: bool = strawberry.field(
        description="Whether the usage of the customer's children counts with its own, and what "
        "it gives is theirs together.",
        default=False,
    )
    lines_per_customer: bool = strawberry.field(
        description="Whether an invoice has a line for each of the family who used anything; "
        "only with `familyUsage`.",
        default=False,
    )
    addons: list[BoughtAddonInput] | None = strawberry.field(
        description="Addons that it has from its start on, as `subscriptionAddonAttach` buys them; "
        "at most 50. Not of a draft.",
        default=None,
    )
    phases: list[SubscriptionPhaseInput] | None = strawberry.field(
        description="The phases that follow the one that it is bought with, which lasts from the "
        "start until the first of them; at most 100. Not of a draft.",
        default=None,
    )
    phases_end: PhasesEnd = strawberry.field(
        description="What becomes of it when the last of them ends.", default=PhasesEnd.CONTINUE
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)

    def agreed(self) -> SetPhases | None:
        """The phases, of a subscription that has no id yet; None for none. Raises: Invalid."""
        if self.phases is None and self.phases_end is PhasesEnd.CONTINUE:
            return None
        phases = phases_of(self.phases)
        return SetPhases(subscription_id="", phases=phases, at_end=self.phases_end)

    def command(self) -> CreateSubscription:
        """Raises: Invalid."""
        return CreateSubscription(
            customer_id=self.customer_id,
            plan_id=self.plan_id,
            draft=self.draft,
            currency=self.currency,
            timezone=self.timezone,
            alignment=cast("Alignment", self.alignment.value),
            cadence=Cadence("month") if self.cadence is None else self.cadence.row(),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            anchor=self.anchor,
            trial_ends_at=self.trial_ends_at,
            trial_days=self.trial_days,
            bills_trial_usage=self.bill_trial_usage,
            price_ids=None if self.price_ids is None else tuple(self.price_ids),
            quantities=held(self.quantities),
            overrides=overrides_of(self.overrides),
            terms=PaymentTerms(
                net_days=self.net_days,
                collection_method=self.collection_method,
                purchase_order=self.purchase_order,
                auto_invoice_threshold=self.auto_invoice_threshold,
                parent_pays=self.parent_pays,
            ),
            family_usage=self.family_usage,
            lines_per_customer=self.lines_per_customer,
            commitments=terms_of(self.commitments),
            prorate_by=self.prorate_by,
            metadata=self.metadata or {},
        )


@strawberry.input(
    description="Changes to a subscription. A field that is absent stays as it is; null clears."
)
class SubscriptionUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )
    ends_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="Serve until then, in the future; null: until canceled."
    )
    net_days: strawberry.Maybe[int | None] = strawberry.field(
        description="Days from issue until invoices are due, 0 to 365; null: as the environment "
        "says."
    )
    collection_method: strawberry.Maybe[CollectionMethod | None] = strawberry.field(
        description="How invoices are to be paid; not null."
    )
    purchase_order: strawberry.Maybe[str | None] = strawberry.field(
        description="The customer's order number, printed on invoices; at most 64 characters."
    )
    auto_invoice_threshold: strawberry.Maybe[Decimal | None] = strawberry.field(
        description="Bill usage at once when it comes to this amount; null: at the period's end."
    )
    parent_pays: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether what is drafted from now on goes to the customer's parent; null: as "
        "the customer says."
    )
    family_usage: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the usage of the customer's children counts from the next period on; "
        "of a draft: from its start. Not null."
    )
    lines_per_customer: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether there is a line for each of the family from the next period on; of a "
        "draft: from its start. Not null."
    )
    commitments: strawberry.Maybe[list[CommitmentInput] | None] = strawberry.field(
        description="What the customer promises to use from the next period on, instead of all "
        "that was promised before; of a draft: from its start. Null: nothing."
    )
    starts_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="Of a draft: serve from then; null: from when it is activated."
    )
    anchor: strawberry.Maybe[datetime | None] = strawberry.field(
        description="Of a draft: the instant whose local date and time anniversary periods "
        "repeat; null: the end of the trial, else the start."
    )
    trial_ends_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="Of a draft: free of fees until then; null: no trial."
    )
    trial_days: strawberry.Maybe[int | None] = strawberry.field(
        description="Of a draft: free of fees for so many local days; null or 0: no trial."
    )
    bill_trial_usage: strawberry.Maybe[bool | None] = strawberry.field(
        description="Of a draft: whether to bill usage in the trial when it ends."
    )
    quantities: strawberry.Maybe[list[HeldQuantityInput] | None] = strawberry.field(
        description="Of a draft: how much of fixed charges is held; those not named stay."
    )
    overrides: strawberry.Maybe[list[SubscriptionPriceOverrideInput] | None] = strawberry.field(
        description="Of a draft: prices of its own, instead of all that it had; null: none."
    )

    def patch(self) -> dict[str, Any]:
        """Raises: Invalid."""
        found = present(self, without=("id",))
        if "quantities" in found:
            found["quantities"] = held(found["quantities"])
        if "overrides" in found:
            found["overrides"] = overrides_of(found["overrides"])
        if "commitments" in found:
            found["commitments"] = terms_of(found["commitments"])
        return found
