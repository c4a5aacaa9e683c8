"""The charge for the figures of a line: model and adjustments together, with the trace. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from app.catalog.prices.adjustments import Adjustments
from app.catalog.prices.explanation import Rule, Step, number, step
from app.catalog.prices.figures import Figures
from app.catalog.prices.formula import Formula
from app.catalog.prices.matrix import Matrix
from app.catalog.prices.models import PriceModel, QuantityModel
from app.catalog.prices.percentage import Percentage
from app.kernel.quantity import EXACT, Number, exact_number, fraction_rounded, plus
from app.metering.walk import NO_EVENTS

RULES = {
    "window": Rule(
        "the charge of one window × how many there are of it",
        lambda i, parts: parts[0] * number(i, "windows"),
    ),
    "windowed": Rule(
        "what was counted in one window of the period", lambda i, _: number(i, "quantity")
    ),
    "bucketed": Rule("sum of the windows", lambda _, parts: sum(parts, start=Fraction(0))),
    "group_share": Rule(
        "the charge of all groups, shared out by quantity: from `before` to `before` + `own` of "
        "`of`, both ends rounded to `decimals` places",
        lambda i, parts: _share(
            parts[0], number(i, "before"), number(i, "own"), of=number(i, "of"),
            decimals=int(number(i, "decimals")),
        ),
    ),
}  # fmt: skip


# From the trace of a quantity to that of the part of it that is charged; and from that of a charge
# to that of what is asked for it.
Allow = Callable[[Step], Step]


@dataclass(frozen=True, slots=True)
class WindowTerms:
    """What prices a window, and what becomes of its charge; `name`: of its part of the day."""

    model: QuantityModel
    commit: Allow | None = None
    name: str | None = None


class Charge(Struct, frozen=True):
    """`amount` is the trace of the charge, `quantity` that of the quantity that was priced."""

    amount: Step
    quantity: Step


def charge(
    model: PriceModel,
    adjustments: Adjustments,
    figures: Figures,
    counted: Step,
    *,
    allow: Allow | None = None,
    windows: Sequence[WindowTerms] = (),
) -> Charge:
    """What the figures cost, unrounded, within the price's limits.

    `counted` is the trace of `figures.quantity`. `allow` takes off what is included elsewhere,
    after the free units; it applies to prices of one quantity without windows. `windows` are the
    terms of those in each part of the day, and last of all others, without usage too.
    """
    quantity = counted
    match model:
        case Percentage():
            amount = model.trace(figures.tally or NO_EVENTS)
        case Matrix():
            amount = model.trace(figures.cells)
        case Formula():
            named = {name: figure.quantity for name, figure in figures.meters.items()}
            amount = model.trace(named)
        case _ if adjustments.bucket is not None:
            amount = _bucketed(windows or (WindowTerms(model),), adjustments, figures)
        case _:
            quantity = adjustments.charged(counted)
            if allow is not None:
                quantity = allow(quantity)
            amount = _priced(model, quantity)
    return Charge(adjustments.limited(amount), quantity)


def shared(charge: Step, quantities: Iterable[Decimal], *, decimals: int) -> list[Step]:
    """The charge in one part per quantity, in proportion, each a multiple of the last decimal.

    The parts sum to the rounded charge. Negative quantities get nothing. All of them together
    must lie above 0.
    """
    parts = [max(quantity, Decimal(0)) for quantity in quantities]
    before, of = Decimal(0), Decimal(0)
    for part in parts:
        of = EXACT.add(of, part)
    found = []
    for own in parts:
        inputs = {"before": before, "own": own, "of": of, "decimals": Decimal(decimals)}
        ends = (Fraction(before), Fraction(own))
        result = _share(Fraction(charge.result), *ends, of=Fraction(of), decimals=decimals)
        found.append(step("group_share", inputs, result, (charge,)))
        before = EXACT.add(before, own)
    return found


def _priced(model: QuantityModel, quantity: Step) -> Step:
    # Corrections can bring a sum below zero; a price has no negative side.
    return model.trace(max(exact_number(quantity.result), Decimal(0)))


def _bucketed(terms: Sequence[WindowTerms], adjustments: Adjustments, figures: Figures) -> Step:
    """Windows of equal quantities and terms are one step, under the start of the first. The last
    of the terms hold where no part of the day does."""
    alike: dict[tuple[int, Decimal], list[str]] = {}
    rest = len(terms) - 1
    for window in figures.windows:
        place = rest if window.part is None else window.part
        alike.setdefault((place, window.quantity), []).append(window.start.isoformat())
    parts = [
        _window(terms[place], adjustments, quantity, start=starts[0], windows=len(starts))
        for (place, quantity), starts in alike.items()
    ]
    empty = (*figures.empty_parts, figures.empty_windows - sum(figures.empty_parts))
    for windows, each in zip(empty, terms, strict=True):
        if windows:
            found = _window(each, adjustments, Decimal(0), start=None, windows=windows)
            parts += [found] if Fraction(found.result) else []
    total: Number = Decimal(0)
    for part in parts:
        total = plus(total, exact_number(part.result))
    inputs = {"bucket": adjustments.bucket, "empty_windows": Decimal(figures.empty_windows)}
    return step("bucketed", inputs, total, tuple(parts))


def _window(
    terms: WindowTerms,
    adjustments: Adjustments,
    quantity: Decimal,
    *,
    start: str | None,
    windows: int,
) -> Step:
    counted = step("windowed", {"start": start, "quantity": quantity}, quantity)
    priced = adjustments.charged(counted)
    amount = _priced(terms.model, priced)
    if terms.commit is not None:
        amount = terms.commit(amount)
    inputs: dict[str, Number | str | None] = {"windows": Decimal(windows)}
    if terms.name is not None:
        inputs["time_of_day"] = terms.name
    return step("window", inputs, Fraction(amount.result) * windows, (amount, priced))


def _share(
    charge: Fraction, before: Fraction, own: Fraction, *, of: Fraction, decimals: int
) -> Fraction:
    def until(reached: Fraction) -> Fraction:
        return Fraction(fraction_rounded(charge * reached / of, decimals))

    return until(before + own) - until(before)
