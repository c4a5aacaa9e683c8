"""From what was sold and what was counted to the lines of an invoice. Pure.

The amount of a line is exact until its last step, which rounds it to the currency's minor
unit, once, halves away from zero. Every line brings its trace along.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from app.catalog.price import ChargeKind, Price
from app.catalog.prices import Cell, Figures, Formula, Matrix, Percentage, Step, converted, to_json
from app.catalog.prices.charging import Charge, WindowTerms, charge, shared
from app.catalog.prices.explanation import step, text
from app.invoicing import explanation
from app.invoicing.committed import (
    NOTHING_TOWARD,
    Toward,
    of_charge,
    of_windows,
    windows_sold,
)
from app.invoicing.family import Share, of_family
from app.invoicing.included import (
    NOTHING_INCLUDED,
    Included,
    SpanFigure,
    counted_with,
    covered,
    paused,
    taken_by,
    taken_off,
)
from app.invoicing.invoice import InvoiceLine, LineKind
from app.invoicing.rated import RatedLine as RatedLine
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import EXACT, exact_number
from app.subscriptions import proration
from app.subscriptions.committing import Committing
from app.subscriptions.periods import Service
from app.subscriptions.proration import BY_SECOND, ProrationPolicy
from app.subscriptions.subscription import LineItem

# Changes whenever the same facts would lead to another amount or another explanation.
ENGINE_VERSION = "2"


class Counted(Struct, frozen=True):
    """What was counted of one line item: one entry per group, or one where it is not grouped.

    `whole` is the same without groups, for a price whose groups are priced together. `spans`
    has what allowances have to know: the usage of all groups in each of these periods. `earlier`
    are lines that billed a part of the period before it ended, `toward` those that may count
    towards a commitment. `family` are the parts of the period in which the usage of the
    customer's family counts; `shares`, where each of them has lines of its own, who used what.
    """

    groups: Sequence[Figures] = ()
    whole: Figures | None = None
    spans: Mapping[Period, SpanFigure] = msgspec.field(default_factory=dict)
    earlier: Sequence[InvoiceLine] = ()
    toward: Toward = NOTHING_TOWARD
    family: tuple[Period, ...] = ()
    shares: Sequence[Share] | None = None


NOTHING = Counted()


class Fact(Struct, frozen=True):
    """One line item to bill for one service period, with what was counted then, and what of it
    is included; `policy` says what a part of a period costs of a fixed charge."""

    item: LineItem
    price: Price
    service: Service
    counted: Counted = NOTHING
    included: Included = NOTHING_INCLUDED
    committing: Committing | None = None
    policy: ProrationPolicy = BY_SECOND


def rate(fact: Fact) -> Iterator[RatedLine]:
    """One line of a fixed charge; one line per group, or row of a matrix, of a usage charge.

    A usage charge has a line even where nothing was counted, so that the customer sees that
    nothing was; where no group or row occurred, it asks for nothing.
    """
    if fact.price.charge is ChargeKind.FIXED:
        yield _fixed(fact)
        return
    for line in list(_of_usage(fact)) or [_nothing(fact)]:
        yield from of_family(line, fact.counted.shares, fact.price.group_by)


def _of_usage(fact: Fact) -> Iterator[RatedLine]:
    groups = fact.counted.groups
    if len(groups) > 1:
        groups = sorted(groups, key=lambda one: order_of(one.group))
    cover = _cover(fact)
    if fact.counted.whole is not None:
        yield from _together(fact, groups, fact.counted.whole, cover)
        return
    for figures in groups:
        yield from _usage(fact, figures, cover)


def order_of(group: Sequence[str | None]) -> list[tuple[bool, str]]:
    """Where a group's line stands among the others: by its values, absent ones first."""
    return [(value is not None, value or "") for value in group]


def snapshot(price: Price) -> Mapping[str, Any]:
    """The price as billed: everything that led to the amount, as JSON with decimals as text.

    The lines of one run share it.
    """
    known = _SNAPSHOTS.get(id(price))
    if known is None:
        if len(_SNAPSHOTS) >= _MOST_SNAPSHOTS:
            _SNAPSHOTS.clear()
        # With the price itself, so that its id is nobody else's as long as this is here.
        known = _SNAPSHOTS[id(price)] = (price, _snapshot(price))
    return known[1]


_SNAPSHOTS: dict[int, tuple[Price, Mapping[str, Any]]] = {}
_MOST_SNAPSHOTS = 1_000


def _snapshot(price: Price) -> dict[str, Any]:
    own = {} if price.overrides_id is None else {"overrides_id": price.overrides_id}
    return own | {
        "id": price.id,
        "plan_id": price.sold_with_plan_id,
        "lineage_id": price.lineage_id,
        "display_name": price.display_name,
        "charge": price.charge.value,
        "timing": price.timing.value,
        "currency": price.currency,
        "conversion": None if price.conversion is None else price.conversion.terms(),
        "cadence": {"unit": price.cadence.unit, "count": price.cadence.count},
        "billing": price.billing.value,
        "model": to_json(price.model),
        "adjustments": to_json(price.adjustments),
        "feature_id": price.feature_id,
        "meter_id": price.meter_id,
        "group_by": list(price.group_by),
        "trial_days": price.trial_days,
        "content_hash": price.content_hash,
    }


def _fixed(fact: Fact) -> RatedLine:
    quantity = fact.item.quantity if fact.item.quantity is not None else Decimal(1)
    held = step("held", {"line_item_id": fact.item.id, "quantity": quantity}, quantity)
    charged = _charge(fact, Figures(quantity), held)
    amount = proration.trace(charged.amount, fact.service, fact.policy)
    return _line(fact, quantity, amount, charged.quantity)


def _nothing(fact: Fact) -> RatedLine:
    counted = _counted(fact, Figures(Decimal(0)))
    return _line(fact, Decimal(0), counted, counted)


class _Cover:
    """What allowances cover of a charge, used up by one line after another."""

    def __init__(self, covered: Step) -> None:
        self._covered, self._taken = covered, exact_number("0")

    def allow(self, quantity: Step) -> Step:
        allowed = taken_off(quantity, self._covered, self._taken)
        self._taken = taken_by(allowed)
        return allowed


def _cover(fact: Fact) -> _Cover | None:
    if not fact.included.allowances:
        return None
    found = covered(
        fact.included,
        fact.service.period,
        fact.counted.spans,
        meter_id=fact.price.meter_id,
        transform=fact.price.adjustments.transform,
    )
    return _Cover(found)


def _usage(fact: Fact, figures: Figures, cover: _Cover | None) -> Iterator[RatedLine]:
    """The line of a group, or its lines where a matrix has one per row."""
    model = fact.price.model
    if not isinstance(model, Matrix):
        yield _charged(fact, figures, cover)
        return
    cells = model.complete(figures.cells)
    if not model.line_per_row:
        yield _charged(fact, replace(figures, cells=cells), cover)
        return
    for row in (*range(len(model.rows)), None):
        if mine := tuple(cell for cell in cells if cell.row == row):
            yield _row(fact, figures, row, mine)


def _row(fact: Fact, figures: Figures, row: int | None, cells: tuple[Cell, ...]) -> RatedLine:
    """The line of one row of a matrix: its cells, and what they add up to."""
    quantity = sum((Fraction(cell.quantity) for cell in cells), start=Fraction(0))
    mine = replace(
        figures,
        quantity=EXACT.create_decimal(text(quantity)),
        events=sum(cell.events for cell in cells),
        cells=cells,
    )
    return _charged(fact, mine, None, row=row)


def _charged(fact: Fact, figures: Figures, cover: _Cover | None, **of: int | None) -> RatedLine:
    """`of` names the `row` that the line is of; without it the line is of all there is."""
    price = fact.price
    counted = _counted(fact, figures, **of)
    charged = _charge(fact, figures, counted, cover)
    found = _line(fact, figures.quantity, charged.amount, charged.quantity, *_meters(fact, figures))
    if price.group_by:
        found = replace(found, group=_group(price, figures))
    if "row" in of and isinstance(price.model, Matrix):
        return replace(found, description=price.model.name_of(of["row"]) or price.display_name)
    return found


def _together(
    fact: Fact, groups: Sequence[Figures], whole: Figures, cover: _Cover | None
) -> Iterator[RatedLine]:
    """The lines of groups that are priced together and share the charge by their quantities.

    Where no group has a quantity, one line says what is charged all the same.
    """
    price = fact.price
    decimals = minor_units(price.currency)
    charged = _charge(fact, whole, _counted(fact, whole), cover)
    if not any(figures.quantity > 0 for figures in groups):
        yield _line(fact, whole.quantity, charged.amount, charged.quantity)
        return
    parts = shared(charged.amount, (figures.quantity for figures in groups), decimals=decimals)
    for figures, part in zip(groups, parts, strict=True):
        line = _line(fact, figures.quantity, part, _counted(fact, figures), charged.quantity)
        yield replace(line, group=_group(price, figures))


def _charge(fact: Fact, figures: Figures, counted: Step, cover: _Cover | None = None) -> Charge:
    """What the figures cost in the price's currency, and with what is committed to."""
    price, committing = fact.price, fact.committing
    allow = None if cover is None else cover.allow
    windows = _windows(fact)
    if windows:
        committing = None
    charged = charge(price.model, price.adjustments, figures, counted, allow=allow, windows=windows)
    if price.conversion is not None:
        charged = replace(charged, amount=converted(charged.amount, price.conversion))
    if committing is None:
        return charged
    asked = of_charge(price, charged.amount, committing, fact.counted.toward)
    return replace(charged, amount=asked)


def _windows(fact: Fact) -> Sequence[WindowTerms]:
    """The terms of windows; () where those of the price hold for all of them."""
    committing, model = fact.committing, fact.price.model
    if committing is None or not committing.windowed:
        return ()
    if isinstance(model, Percentage | Matrix | Formula):
        raise TypeError(f"price {fact.price.id} has no windows to commit to")
    return of_windows(fact.price, model, committing)


def _group(price: Price, figures: Figures) -> dict[str, str | None]:
    return dict(zip(price.group_by, figures.group, strict=True))


def _counted(fact: Fact, figures: Figures, **of: int | None) -> Step:
    """Which events were counted, and what they came to."""
    groups = _group(fact.price, figures) if figures.group else {}
    inputs = {
        "meter_id": fact.price.meter_id,
        **_of(fact, groups),
        **{name: "default" if row is None else str(row + 1) for name, row in of.items()},
        "events": str(figures.events),
        "quantity": figures.quantity,
    }
    return step("counted", inputs, figures.quantity)


def _meters(fact: Fact, figures: Figures) -> Iterator[Step]:
    """What the meters of a formula counted, each by itself."""
    model = fact.price.model
    if not isinstance(model, Formula):
        return
    groups = _group(fact.price, figures)
    for variable in model.variables:
        figure = figures.meters[variable.name]
        inputs = {
            "meter_id": variable.meter_id,
            "variable": variable.name,
            **_of(fact, groups),
            "events": str(figure.events),
            "quantity": figure.quantity,
        }
        yield step("counted", inputs, figure.quantity)


def _sold(fact: Fact) -> Mapping[str, Any]:
    sold = snapshot(fact.price)
    if not fact.included.allowances and fact.committing is None:
        return sold  # the very same for all lines of the price
    terms = fact.included.terms(fact.service.period)
    more = ({"allowances": terms} if terms else {}) | windows_sold(fact.committing)
    return {**sold, **more} if more else sold


@lru_cache(maxsize=1024)
def _stated(period: Period) -> Mapping[str, str]:
    """Its bounds as steps say them; most lines of a run have the same."""
    return {"start": period.start.isoformat(), "end": period.end.isoformat()}


def _of(fact: Fact, groups: Mapping[str, str | None]) -> dict[str, str | None]:
    found: dict[str, str | None] = dict(_stated(fact.service.period))
    if fact.service.paused or fact.counted.family:
        found |= paused(fact.service.paused) | counted_with(fact.counted.family)
    for name, value in groups.items():
        found[f"group.{name}"] = value
    return found


_KINDS = {charge: LineKind(charge.value) for charge in ChargeKind}


def _line(fact: Fact, quantity: Decimal, amount: Step, *counted: Step) -> RatedLine:
    price = fact.price
    tree = explanation.line(amount, *counted, decimals=minor_units(price.currency))
    return RatedLine(
        kind=_KINDS[price.charge],
        item_id=fact.item.id,
        price_id=price.id,
        meter_id=price.meter_id,
        description=price.display_name,
        group={},
        quantity=max(quantity, Decimal(0)),
        amount=EXACT.create_decimal(tree.result),
        currency=price.currency,
        service=fact.service.period,
        price=_sold(fact),
        explanation=tree,
    )
