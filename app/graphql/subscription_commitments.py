"""Commitments in the graph: what a customer promised to use, as it is given and as it is held."""

from datetime import datetime
from decimal import Decimal
from typing import Self

import strawberry

from app.graphql.cadences import Cadence, CadenceInput
from app.graphql.catalog.price_model_inputs import RowPriceModelInput
from app.graphql.catalog.price_models import RowPriceModel, row_model
from app.kernel.errors import Invalid
from app.subscriptions.commitments import (
    NO_COMMITMENT,
    Commitment,
    CommitmentTerms,
    DayPart,
    HeldCommitment,
)


@strawberry.type(
    description="A part of the day in the subscription's time zone, whose hours have a commitment "
    "of their own, and a price of their own where it has a model."
)
class CommitmentTimeOfDay:
    start_hour: int = strawberry.field(description="From this full hour on, 0 to 23.")
    end_hour: int = strawberry.field(
        description="To before this full hour, 1 to 24; past midnight where it is no later than "
        "the start."
    )
    amount: Decimal | None = strawberry.field(
        description="What was promised of each hour; 0: nothing; null: a quantity was."
    )
    quantity: Decimal | None = strawberry.field(
        description="What was promised of each hour, worth what its price asks for it; null: an "
        "amount was."
    )
    overage_factor: Decimal = strawberry.field(
        description="How many times as much usage beyond it costs, at least 1."
    )
    true_up: bool = strawberry.field(
        description="Whether the whole of it is paid where less was used."
    )
    model: RowPriceModel | None = strawberry.field(
        description="Prices these hours; null: the model of the price does."
    )

    @classmethod
    def of(cls, row: DayPart) -> Self:
        commitment = row.commitment
        return cls(
            start_hour=row.start,
            end_hour=row.end,
            amount=commitment.amount,
            quantity=commitment.quantity,
            overage_factor=commitment.overage_factor,
            true_up=commitment.true_up,
            model=None if row.model is None else row_model(row.model),
        )


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
    time_of_day: list[CommitmentTimeOfDay] = strawberry.field(
        description="Parts of the day whose windows have terms of their own."
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
            time_of_day=[CommitmentTimeOfDay.of(each) for each in terms.day_parts],
            duration=None if terms.duration is None else Cadence.of(terms.duration),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
        )


@strawberry.input(
    description="A part of the day in the subscription's time zone: what is committed to of each "
    "of its hours, and what prices them. Without an amount or a quantity nothing is."
)
class CommitmentTimeOfDayInput:
    start_hour: int = strawberry.field(description="From this full hour on, 0 to 23.")
    end_hour: int = strawberry.field(
        description="To before this full hour, 1 to 24; past midnight where it is no later than "
        "the start, as of 22 to 6."
    )
    amount: Decimal | None = strawberry.field(
        description="In the subscription's currency, above 0.", default=None
    )
    quantity: Decimal | None = strawberry.field(
        description="Above 0: it is worth what the price asks for it.", default=None
    )
    overage_factor: Decimal = strawberry.field(
        description="How many times as much usage beyond it costs, at least 1.",
        default=Decimal(1),
    )
    true_up: bool = strawberry.field(
        description="Pay the whole of it where less was used.", default=False
    )
    model: RowPriceModelInput | None = strawberry.field(
        description="Prices these hours; null: the model of the price does.", default=None
    )

    def row(self) -> DayPart:
        """Raises: Invalid."""
        return DayPart(
            self.start_hour,
            self.end_hour,
            _commitment(self, or_none=True),
            None if self.model is None else self.model.row("model"),
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
    time_of_day: list[CommitmentTimeOfDayInput] | None = strawberry.field(
        description="Parts of the day whose hours have other terms; with `windowed`, of a price "
        "with the bucket `HOUR`. Beside them the commitment itself may be left out.",
        default=None,
    )
    duration: CadenceInput | None = strawberry.field(
        description="Add up so many periods, such as a year of monthly bills; a whole number of "
        "the periods that are billed. Null: each for itself.",
        default=None,
    )

    def terms(self) -> CommitmentTerms:
        """Raises: Invalid."""
        parts = self.time_of_day or []
        return CommitmentTerms(
            _commitment(self, or_none=bool(parts)),
            self.price_id,
            self.windowed,
            None if self.duration is None else self.duration.row(),
            tuple(_part(each, f"timeOfDay[{place}]") for place, each in enumerate(parts)),
        )


def _commitment(given: CommitmentInput | CommitmentTimeOfDayInput, *, or_none: bool) -> Commitment:
    """Raises: Invalid."""
    amount = given.amount
    if or_none and amount is None and given.quantity is None:
        plain = given.overage_factor == 1 and not given.true_up
        amount = NO_COMMITMENT.amount if plain else None
    return Commitment(amount, given.quantity, given.overage_factor, given.true_up)


def terms_of(given: list[CommitmentInput] | None) -> tuple[CommitmentTerms, ...]:
    """Raises: Invalid."""
    return tuple(_terms(each, f"commitments[{index}]") for index, each in enumerate(given or ()))


def _part(given: CommitmentTimeOfDayInput, field: str) -> DayPart:
    try:
        return given.row()
    except Invalid as error:
        raise _under(field, error, ("commitment", "timeOfDay")) from error


def _terms(given: CommitmentInput, field: str) -> CommitmentTerms:
    try:
        return given.terms()
    except Invalid as error:
        raise _under(field, error, ("commitment",)) from error


def _under(field: str, error: Invalid, itself: tuple[str, ...]) -> Invalid:
    """The refusal of what is given as `field`; those that name `itself` are about all of it."""
    own = "" if error.field is None or error.field in itself else f".{error.field}"
    return Invalid(f"{field}: {error.message}", field=f"{field}{own}", code=error.code)
