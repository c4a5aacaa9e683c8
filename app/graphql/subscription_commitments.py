"""Commitments in the graph: what a customer promised to use, as it is given and as it is held."""

from datetime import datetime
from decimal import Decimal
from typing import Self

import strawberry

from app.graphql.cadences import Cadence, CadenceInput
from app.kernel.errors import Invalid
from app.subscriptions.commitments import Commitment, CommitmentTerms, HeldCommitment


@strawberry.type(
    description="What a customer promised to use of a price, or of all prices together. Up to it "
    "usage costs what it costs; beyond it, `overageFactor` times as much."
)
class SubscriptionCommitment:
    price_id: strawberry.ID | None = strawberry.field(
        description="The price whose usage it is about; null: all usage of the subscription that "
        "has no commitment of its own."
    )
    amount: Decimal | None = strawberry.field(
        description="What was promised, in the subscription's currency; null: a quantity was."
    )
    quantity: Decimal | None = strawberry.field(
        description="What was promised, worth what the price asks for it; null: an amount was."
    )
    overage_factor: Decimal = strawberry.field(
        description="How many times as much usage beyond it costs, at least 1."
    )
    true_up: bool = strawberry.field(
        description="Whether the whole of it is paid where less was used."
    )
    windowed: bool = strawberry.field(
        description="Whether every window of the price has it for itself."
    )
    duration: Cadence | None = strawberry.field(
        description="How long what is used adds up towards it; null: a billing period."
    )
    starts_at: datetime | None = strawberry.field(
        description="It holds for periods that begin from then; null: from the first."
    )
    ends_at: datetime | None = strawberry.field(
        description="It holds for periods that begin before then; null: as long as the "
        "subscription runs."
    )

    @classmethod
    def of(cls, row: HeldCommitment) -> Self:
        terms, commitment = row.terms, row.terms.commitment
        return cls(
            price_id=None if terms.price_id is None else strawberry.ID(terms.price_id),
            amount=commitment.amount,
            quantity=commitment.quantity,
            overage_factor=commitment.overage_factor,
            true_up=commitment.true_up,
            windowed=terms.windowed,
            duration=None if terms.duration is None else Cadence.of(terms.duration),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )


@strawberry.input(
    description="A commitment to the usage of a price, or to all usage: of an amount or of a "
    "quantity, one of them."
)
class CommitmentInput:
    price_id: strawberry.ID | None = strawberry.field(
        description="A usage price that the subscription buys; null: all usage that has no "
        "commitment of its own. One commitment for each.",
        default=None,
    )
    amount: Decimal | None = strawberry.field(
        description="In the subscription's currency, above 0.", default=None
    )
    quantity: Decimal | None = strawberry.field(
        description="Above 0, of a price that prices one quantity: it is worth what the price "
        "asks for it.",
        default=None,
    )
    overage_factor: Decimal = strawberry.field(
        description="How many times as much usage beyond it costs, at least 1.",
        default=Decimal(1),
    )
    true_up: bool = strawberry.field(
        description="Pay the whole of it where less was used.", default=False
    )
    windowed: bool = strawberry.field(
        description="Every window of the price has it for itself, those without usage too. Of a "
        "price with a bucket.",
        default=False,
    )
    duration: CadenceInput | None = strawberry.field(
        description="Add up so many periods, such as a year of monthly bills; a whole number of "
        "the periods that are billed. Null: each for itself.",
        default=None,
    )

    def terms(self) -> CommitmentTerms:
        """Raises: Invalid."""
        return CommitmentTerms(
            Commitment(self.amount, self.quantity, self.overage_factor, self.true_up),
            self.price_id,
            self.windowed,
            None if self.duration is None else self.duration.row(),
        )


def terms_of(given: list[CommitmentInput] | None) -> tuple[CommitmentTerms, ...]:
    """Raises: Invalid."""
    return tuple(_terms(each, f"commitments[{index}]") for index, each in enumerate(given or ()))


def _terms(given: CommitmentInput, field: str) -> CommitmentTerms:
    try:
        return given.terms()
    except Invalid as error:
        own = "" if error.field in (None, "commitment") else f".{error.field}"
        raise Invalid(
            f"{field}: {error.message}", field=f"{field}{own}", code=error.code
        ) from error
