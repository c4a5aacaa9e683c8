"""Phases of subscriptions, as callers write them."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

from app.graphql.subscription_change_timing import Proration as Proration
from app.graphql.subscription_commitments import CommitmentInput, terms_of
from app.graphql.subscription_overrides import SubscriptionPriceOverrideInput, overrides_of
from app.graphql.subscription_quantities import HeldQuantityInput, held
from app.kernel.checks import located
from app.subscriptions.change import ChangePlan, PhaseTerms
from app.subscriptions.phases import Phase, SetPhases
from app.subscriptions.phases import PhasesEnd as PhasesEnd

strawberry.enum(
    PhasesEnd,
    name="SubscriptionPhasesEnd",
    description="What becomes of a subscription when its last phase ends.",
)


@strawberry.input(description="What a subscription has from an instant on.")
class SubscriptionPhaseInput:
    starts_at: datetime = strawberry.field(
        description="From then, in the future; where the phase before ends."
    )
    ends_at: datetime | None = strawberry.field(
        description="Until then, exclusive; null: until the next one begins, or of the last one "
        "open.",
        default=None,
    )
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan, in its current version unless one is named; null: the one before, "
        "at the prices that it was bought at.",
        default=None,
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version, which is published.", default=None
    )
    price_ids: list[strawberry.ID] | None = strawberry.field(
        description="Its prices to buy; null: as before on the same version, else the recurring "
        "ones in the subscription's currency and cadence.",
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
        default=True,
    )
    commitments: list[CommitmentInput] | None = strawberry.field(
        description="What the customer promises to use from the phase's first period on, instead "
        "of all that was promised before; null: as before.",
        default=None,
    )
    proration: Proration = strawberry.field(
        description="What becomes of fees in advance where it begins within a period.",
        default=Proration.CREATE_PRORATIONS,
    )

    def row(self) -> Phase:
        """Raises: Invalid."""
        promised = None if self.commitments is None else terms_of(self.commitments)
        what = ChangePlan(
            plan_id=self.plan_id,
            plan_version_id=self.plan_version_id,
            price_ids=None if self.price_ids is None else tuple(self.price_ids),
            quantities=held(self.quantities),
            overrides=overrides_of(self.overrides),
            keeps_overrides=self.keep_overrides,
            phase=PhaseTerms(commitments=promised),
        )
        return Phase(
            starts_at=self.starts_at, ends_at=self.ends_at, what=what, proration=self.proration
        )


@strawberry.input(description="The phases that are to come, instead of all that were to.")
class SubscriptionPhasesSetInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    phases: list[SubscriptionPhaseInput] = strawberry.field(
        description="In their order, each beginning where the one before ends; at most 100. Empty: "
        "what is in force goes on."
    )
    phases_end: PhasesEnd = strawberry.field(
        description="What becomes of the subscription when the last of them ends.",
        default=PhasesEnd.CONTINUE,
    )

    def command(self) -> SetPhases:
        """Raises: Invalid."""
        return SetPhases(
            subscription_id=self.id, phases=phases_of(self.phases), at_end=self.phases_end
        )


def phases_of(given: Sequence[SubscriptionPhaseInput] | None) -> tuple[Phase, ...]:
    """Raises: Invalid, whose field is the path from the mutation's input."""
    found = []
    for index, each in enumerate(given or ()):
        with located(f"phases[{index}]"):
            found.append(each.row())
    return tuple(found)
