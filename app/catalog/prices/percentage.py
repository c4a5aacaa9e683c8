from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Inputs, Rule, Step, number, step
from app.kernel.errors import Invalid
from app.kernel.quantity import EXACT, QUANTITY_DECIMALS, plain
from app.metering.walk import Tally, Walk

# Beyond the size of any event's amount, so that every one lies on one side of it.
_BEYOND = Decimal(10) ** 40
_HUNDREDTH = Decimal("0.01")


class Percentage(Struct, frozen=True, tag_field="model", tag="percentage"):
    """A percentage of the amount of every event, and a fixed fee per event.

    What is free, and in which order, is told by `Walk`. An event that is not free costs its
    paid part × rate + `fixed_per_event`, but at least `min_per_event` and at most
    `max_per_event`, also where its amount is 0. Events of negative amounts (refunds) count
    against the others; the sum is not below 0.
    """

    kind: ClassVar[Literal["percentage"]] = "percentage"
    rate_percent: Decimal
    fixed_per_event: Decimal = Decimal(0)
    free_events: int | None = None
    free_amount: Decimal | None = None
    min_per_event: Decimal | None = None
    max_per_event: Decimal | None = None

    def __post_init__(self) -> None:
        numbers.amount(self.rate_percent, "ratePercent")
        numbers.amount(self.fixed_per_event, "fixedPerEvent")
        numbers.optional_amount(self.free_amount, "freeAmount")
        numbers.optional_amount(self.min_per_event, "minPerEvent")
        numbers.optional_amount(self.max_per_event, "maxPerEvent")
        if self.free_events is not None:
            numbers.count(self.free_events, "freeEvents")
        low, high = self.min_per_event, self.max_per_event
        if low is not None and high is not None and low > high:
            raise Invalid(
                f"minPerEvent: {low} is above maxPerEvent, {high}",
                field="minPerEvent",
                code="MINIMUM_ABOVE_MAXIMUM",
            )

    @property
    def walk(self) -> Walk:
        """What has to be known of the events."""
        return Walk(
            self.free_events,
            self.free_amount,
            None if self.min_per_event is None else self._costing(self.min_per_event, up=True),
            None if self.max_per_event is None else self._costing(self.max_per_event, up=False),
        )

    def amount(self, tally: Tally) -> Decimal:
        """Unrounded."""
        total = Decimal(0)
        for part in self._parts(tally):
            total = EXACT.add(total, Decimal(part.result))
        return max(total, Decimal(0))

    def trace(self, tally: Tally) -> Step:
        inputs = {
            "events": Decimal(tally.events),
            "free_events": None if self.free_events is None else Decimal(self.free_events),
            "free_amount": self.free_amount,
        }
        return step(self.kind, inputs, self.amount(tally), self._parts(tally))

    def _parts(self, tally: Tally) -> tuple[Step, ...]:
        share = EXACT.multiply(tally.paid, EXACT.multiply(self.rate_percent, _HUNDREDTH))
        rate = {"paid": tally.paid, "rate_percent": self.rate_percent}
        parts = [step("paid_share", rate, share)]
        fees = (
            ("fixed_per_event", self.fixed_per_event, tally.paying),
            ("min_per_event", self.min_per_event, tally.at_minimum),
            ("max_per_event", self.max_per_event, tally.at_maximum),
        )
        for which, fee, events in fees:
            if fee is not None and events:
                amount = EXACT.multiply(fee, Decimal(events))
                inputs = {"fee": which, "events": str(events), "amount": plain(fee)}
                parts.append(step("event_fees", inputs, amount))
        return tuple(parts)

    def _costing(self, amount: Decimal, *, up: bool) -> Decimal:
        """The paid part at which an event costs `amount`, to the next quantity up or down."""
        left = EXACT.subtract(amount, self.fixed_per_event)
        if self.rate_percent == 0:  # every event costs the fixed fee
            return _BEYOND if left > 0 else -_BEYOND if left < 0 else Decimal(0)
        scaled = Fraction(left) * 100 / Fraction(self.rate_percent) * 10**QUANTITY_DECIMALS
        whole = Decimal(-(-scaled // 1) if up else scaled // 1)
        return max(min(EXACT.scaleb(whole, -QUANTITY_DECIMALS), _BEYOND), -_BEYOND)


def _evaluate(_inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    return max(sum(parts, start=Fraction(0)), Fraction(0))


RULES = {
    "paid_share": Rule(
        "paid × rate_percent ÷ 100",
        lambda i, _: number(i, "paid") * number(i, "rate_percent") / 100,
    ),
    "event_fees": Rule("events × amount", lambda i, _: number(i, "events") * number(i, "amount")),
    "percentage": Rule("sum of the parts, not below 0", _evaluate),
}
