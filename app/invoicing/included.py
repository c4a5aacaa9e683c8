"""What of a charge's usage is included by entitlements, and how that comes off it. Pure.

Allowances say what is beyond them in the windows that the service period has part in; the rest
of the period's usage is covered. It comes off after the price's own free units, and the lines of
a charge use it up in their order. A price that converts the quantity converts limits as well.

It comes off prices of one quantity. Of what is priced by its single events, by cells, by a
formula or by windows of its own, nothing does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.catalog.price import ChargeKind, Price
from app.catalog.prices import Formula, Matrix, Percentage, Rule, Step
from app.catalog.prices.adjustments import Transform
from app.catalog.prices.explanation import Inputs, number, step
from app.kernel.period import Period
from app.kernel.quantity import Number, exact_number, minus, plain, plus
from app.subscriptions.allowances import (
    Allowance,
    Beyond,
    Counted,
    Left,
    Total,
    allowances,
    asked,
    left,
)
from app.subscriptions.entitlements import Entitled

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Included:
    """The allowances of a feature that have a say in a service period, in the order they are
    used up; `hashes` are those of the entitlements that give them."""

    allowances: tuple[Allowance, ...] = ()
    hashes: frozenset[str] = frozenset()

    def beyond(self, period: Period) -> Left:
        return left(self.allowances, period)

    def asked(self, period: Period) -> set[Period]:
        """The periods whose usage has to be known, of all lines together."""
        return {period, *asked(self.beyond(period))} if self.allowances else set()

    def terms(self, period: Period) -> list[dict[str, Any]]:
        """What was included in the period, as a line keeps it."""
        return [
            {
                "resets": allowance.rhythm.resets.value,
                "limit": None if limit.limit is None else plain(limit.limit),
                "start": max(limit.start, period.start).isoformat(),
                "end": min(limit.end or period.end, period.end).isoformat(),
            }
            for allowance in self.allowances
            for limit in allowance.limits
            if limit.start < period.end and (limit.end is None or limit.end > period.start)
        ]


NOTHING_INCLUDED = Included()


def included_of(price: Price, entitled: Entitled | None, period: Period) -> Included:
    """What the subscription is given of what the price charges for."""
    takes = price.charge is ChargeKind.USAGE and not (
        isinstance(price.model, Percentage | Matrix | Formula)
        or price.adjustments.bucket is not None
    )
    if entitled is None or price.feature_id is None or not takes:
        return NOTHING_INCLUDED
    given = entitled.of(price.feature_id)
    found = allowances([entitled], price.feature_id) if given else ()
    if not found:
        return NOTHING_INCLUDED
    hashes = (
        each.entitlement.content_hash
        for each in given
        if each.start < period.end and (each.end is None or each.end > period.start)
    )
    return Included(found, frozenset(hashes))


@dataclass(frozen=True, slots=True)
class SpanFigure:
    """What was counted of all lines of a charge in a period, but for its gaps."""

    quantity: Decimal
    events: int = 0
    gaps: tuple[Period, ...] = ()
    family: tuple[Period, ...] = ()


def paused(gaps: Sequence[Period]) -> dict[str, str]:
    """The spans of a period whose events are not counted, as ISO 8601 intervals."""
    return {"paused": _stated(gaps)} if gaps else {}


def counted_with(family: Sequence[Period]) -> dict[str, str]:
    """The spans of a period in which events of the customer's family are counted with its own."""
    return {"family": _stated(family)} if family else {}


def _stated(periods: Sequence[Period]) -> str:
    return ", ".join(f"{each.start.isoformat()}/{each.end.isoformat()}" for each in periods)


def covered(
    included: Included,
    period: Period,
    used: Mapping[Period, SpanFigure],
    *,
    meter_id: str | None,
    transform: Transform | None,
) -> Step:
    """The trace of how much of the period's usage the allowances cover."""
    trace = _Trace(used, meter_id, transform)
    whole = trace.of(Counted(period))
    beyond = trace.of(included.beyond(period))
    result = minus(exact_number(whole.result), exact_number(beyond.result))
    return step("covered", {}, result, (whole, beyond))


def taken_off(quantity: Step, cover: Step, taken: Number) -> Step:
    """The trace of what is charged of a line, where lines before it took `taken` of the cover."""
    draft = step("allowance", {"taken": taken}, _ZERO)
    parts = [Fraction(quantity.result), Fraction(cover.result)]
    result = RULES["allowance"].evaluate(draft.inputs, parts)
    return step("allowance", {"taken": taken}, result, (quantity, cover))


def taken_by(allowed: Step) -> Number:
    """How much of the cover the lines up to this one took together."""
    quantity = max(exact_number(allowed.parts[0].result), _ZERO)
    before = exact_number(allowed.inputs["taken"] or "0")
    return plus(before, minus(quantity, exact_number(allowed.result)))


class _Trace:
    """Turns what is left into steps, with what was counted in it."""

    def __init__(
        self,
        used: Mapping[Period, SpanFigure],
        meter_id: str | None,
        transform: Transform | None,
    ) -> None:
        self._used, self._meter_id, self._transform = used, meter_id, transform

    def of(self, expression: Left) -> Step:
        if isinstance(expression, Counted):
            return self._counted(expression.period)
        if isinstance(expression, Total):
            parts = tuple(self._parts(expression))
            total: Number = _ZERO
            for part in parts:
                total = plus(total, exact_number(part.result))
            return step("beyond_all", {}, total, parts)
        return self._beyond(expression)

    def _parts(self, expression: Total) -> Iterator[Step]:
        """Windows in which nothing was used add nothing, and are left out."""
        for part in expression.parts:
            found = self.of(part)
            used = any(Fraction(each.result) for each in (found, *found.parts))
            if used or (isinstance(part, Beyond) and part.limit is None):
                yield found

    def _beyond(self, expression: Beyond) -> Step:
        inputs: dict[str, Number | str | None] = {
            "resets": expression.resets.value,
            "window_start": expression.window.start.isoformat(),
            "window_end": None if (end := expression.window.end) is None else end.isoformat(),
            "start": expression.part.start.isoformat(),
            "end": expression.part.end.isoformat(),
            "limit": None,
        }
        if expression.limit is None:
            return step("beyond", inputs, _ZERO)
        inputs["limit"] = self._converted(expression.limit)
        both = (expression.until, expression.before)
        parts = tuple(self.of(each) for each in both if each is not None)
        draft = step("beyond", inputs, _ZERO)
        result = RULES["beyond"].evaluate(draft.inputs, [Fraction(part.result) for part in parts])
        return step("beyond", inputs, result, parts)

    def _counted(self, period: Period) -> Step:
        figure = self._used.get(period, SpanFigure(_ZERO))
        inputs = {
            "meter_id": self._meter_id,
            "start": period.start.isoformat(),
            "end": period.end.isoformat(),
            **paused(figure.gaps),
            **counted_with(figure.family),
            "events": str(figure.events),
            "quantity": figure.quantity,
        }
        counted = step("counted", inputs, figure.quantity)
        return counted if self._transform is None else self._transform.trace(counted)

    def _converted(self, limit: Decimal) -> Number:
        """A limit is in the meter's unit; one of the price's unit is not rounded."""
        transform = self._transform
        if transform is None:
            return limit
        if transform.divide_by is not None:
            return Fraction(limit) / Fraction(transform.divide_by)
        return Fraction(limit) * Fraction(transform.multiply_by or 1)


def _evaluate_beyond(inputs: Inputs, parts: list[Fraction]) -> Fraction:
    if inputs["limit"] is None:
        return Fraction(0)
    until, *before = (max(Fraction(0), part - number(inputs, "limit")) for part in parts)
    return until - sum(before, start=Fraction(0))


RULES = {
    "allowance": Rule(
        "quantity − what is covered and no line before has taken, not below 0",
        lambda i, parts: max(
            Fraction(0), max(Fraction(0), parts[0]) - (parts[1] - number(i, "taken"))
        ),
    ),
    "covered": Rule(
        "what was counted in the period − what of it is beyond the allowances",
        lambda _, parts: parts[0] - parts[1],
    ),
    "beyond": Rule(
        "what the window used beyond the limit until the end of the part − until its start; "
        "nothing where there is no limit",
        lambda i, parts: _evaluate_beyond(i, list(parts)),
    ),
    "beyond_all": Rule("sum of the windows", lambda _, parts: sum(parts, start=Fraction(0))),
}
