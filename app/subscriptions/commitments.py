"""Commitments: what a customer promised to use, and what more or less of it costs. Pure.

Up to the commitment usage costs what it costs. Beyond it the factor applies, and what is not
used is paid all the same where the commitment is trued up. A commitment holds for a whole
period, for each of its windows, or for several periods together (`prior`).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from app.catalog.prices import RowModel, Rule, Step, content_hash, to_json
from app.catalog.prices.explanation import Inputs, number, step
from app.catalog.prices.models import QuantityModel
from app.kernel import checks
from app.kernel.errors import Invalid
from app.kernel.period import Cadence
from app.kernel.quantity import Number, plain

_DAY = 24  # hours


@dataclass(frozen=True, slots=True)
class Commitment:
    """Of an `amount` of money, or of a `quantity` that costs what the price says: one of them.

    Beyond it usage costs `overage_factor` times as much, at least once. With `true_up` the
    whole commitment is paid where less was used.
    """

    amount: Decimal | None = None
    quantity: Decimal | None = None
    overage_factor: Decimal = Decimal(1)
    true_up: bool = False

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.quantity is None):
            raise Invalid(
                "commitment: give either an amount or a quantity",
                field="commitment",
                code="INVALID_COMMITMENT",
            )
        for value, name in ((self.amount, "amount"), (self.quantity, "quantity")):
            if value is not None and not (value.is_finite() and value >= 0):
                raise checks.invalid(name, f"{value} must not be negative")
        if not (self.overage_factor.is_finite() and self.overage_factor >= 1):
            raise checks.invalid("overageFactor", f"{self.overage_factor} must be at least 1")

    def worth(self, model: QuantityModel) -> Number:
        """The commitment in money: a quantity costs what the price asks for it."""
        if self.quantity is not None:
            return model.amount(self.quantity)
        return self.amount or Decimal(0)


NO_COMMITMENT = Commitment(Decimal(0))


@dataclass(frozen=True, slots=True)
class DayPart:
    """A part of the local day: from the full hour `start`, 0 to 23, to before `end`, 1 to 24;
    past midnight where it ends no later than it starts.

    Each hour in it has the `commitment` for itself, and is priced by the `model`; None: by that
    of its price. Raises: Invalid.
    """

    start: int
    end: int
    commitment: Commitment = NO_COMMITMENT
    model: RowModel | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.start < _DAY and 0 < self.end <= _DAY and self.start != self.end):
            raise Invalid(
                f"timeOfDay: {self.start} to {self.end} are no full hours of a day, such as 22 "
                "to 6",
                field="timeOfDay",
                code="INVALID_TIME_OF_DAY",
            )

    @property
    def hours(self) -> Set[int]:
        if self.start < self.end:
            return set(range(self.start, self.end))
        return {*range(self.start, _DAY), *range(self.end)}

    @property
    def name(self) -> str:
        return f"{self.start:02}:00–{self.end:02}:00"


@dataclass(frozen=True, slots=True)
class CommitmentTerms:
    """What is committed to: the usage of a price, or all usage where `price_id` is None.

    `windowed`: every window of the price has the commitment for itself; those in one of the
    `day_parts` have its own instead. `duration`: it holds for several periods together; None:
    for each period.
    """

    commitment: Commitment
    price_id: str | None = None
    windowed: bool = False
    duration: Cadence | None = None
    day_parts: tuple[DayPart, ...] = ()

    @property
    def content_hash(self) -> str:
        """The same for terms that lead to the same amounts."""
        every = None if self.duration is None else [self.duration.unit, self.duration.count]
        parts = [
            [part.start, part.end, *_written(part.commitment), part.model and to_json(part.model)]
            for part in self.day_parts
        ]
        return content_hash(
            [
                *_written(self.commitment),
                self.windowed,
                every,
                self.price_id is None,
                *parts,
            ]
        )


def _written(commitment: Commitment) -> list[str | bool | None]:
    numbers = (commitment.amount, commitment.quantity, commitment.overage_factor)
    return [*(None if each is None else plain(each) for each in numbers), commitment.true_up]


@dataclass(frozen=True, slots=True)
class HeldCommitment:
    """Terms and the periods they hold for: those that begin from `starts_at` (None: the
    subscription's start) and before `ends_at` (None: as long as it runs)."""

    terms: CommitmentTerms
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def holds_at(self, start: datetime) -> bool:
        begun = self.starts_at is None or self.starts_at <= start
        return begun and (self.ends_at is None or start < self.ends_at)


@dataclass(frozen=True, slots=True)
class Committed:
    """What is to be paid, in its parts: `utilized` at the price, `overage` beyond the
    commitment with its factor, and the `true_up` for what was not used."""

    utilized: Fraction
    overage: Fraction
    true_up: Fraction

    @property
    def amount(self) -> Fraction:
        return self.utilized + self.overage + self.true_up

    def __add__(self, other: "Committed") -> "Committed":
        return Committed(
            self.utilized + other.utilized,
            self.overage + other.overage,
            self.true_up + other.true_up,
        )

    def times(self, windows: int) -> "Committed":
        """As many windows alike."""
        return Committed(self.utilized * windows, self.overage * windows, self.true_up * windows)


NOTHING = Committed(Fraction(0), Fraction(0), Fraction(0))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a commitment for several periods is used up.

    `prior`: the base charges that earlier periods billed towards it, without factor and true-up.
    `settles`: its last period is this one, so that what is missing is paid now.
    """

    prior: Number = Decimal(0)
    settles: bool = True


def committed(
    base: Number, commitment: Commitment | None, worth: Number, standing: Standing | None = None
) -> Committed:
    """What a base charge comes to under a commitment worth so much; without one it is utilized."""
    whole = Fraction(base)
    if commitment is None:
        return Committed(whole, Fraction(0), Fraction(0))
    standing = standing or Standing()
    left = max(Fraction(worth) - Fraction(standing.prior), Fraction(0))
    within = min(whole, left)
    missing = left - within if commitment.true_up and standing.settles else Fraction(0)
    return Committed(within, (whole - within) * Fraction(commitment.overage_factor), missing)


def trace(
    charge: Step, commitment: Commitment, worth: Number, standing: Standing | None = None
) -> Step:
    """The charge's trace with the commitment on top."""
    standing = standing or Standing()
    found = committed(Fraction(charge.result), commitment, worth, standing)
    inputs = {
        "commitment": worth,
        "commitment_quantity": commitment.quantity,
        "prior": standing.prior,
        "overage_factor": commitment.overage_factor,
        "true_up": "due" if commitment.true_up and standing.settles else "none",
        "utilized": found.utilized,
        "overage": found.overage,
        "trued_up": found.true_up,
    }
    return step("commitment", inputs, found.amount, (charge,))


def _evaluate(inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    left = max(number(inputs, "commitment") - number(inputs, "prior"), Fraction(0))
    within = min(parts[0], left)
    over = (parts[0] - within) * number(inputs, "overage_factor")
    return within + over + (left - within if inputs["true_up"] == "due" else Fraction(0))


RULES = {
    "commitment": Rule(
        "up to what is left of the commitment the charge, beyond it × overage_factor; where a "
        "true-up is due, what is missing as well",
        _evaluate,
    )
}
