"""From what was sold and what was counted to the lines of an invoice. Pure.

The amount of a line is exact until its last step, which rounds it to the currency's minor
unit, once, halves away from zero. Every line brings its trace along.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.catalog.price import ChargeKind, Price
from app.catalog.prices import Step, to_json
from app.catalog.prices.explanation import step
from app.invoicing import explanation
from app.invoicing.invoice import LineKind
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.subscriptions import proration
from app.subscriptions.periods import Service
from app.subscriptions.subscription import LineItem

# Changes whenever the same facts would lead to another amount or another explanation.
ENGINE_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a meter counted, from how many events.

    `group` has the values of the price's dimensions, in their order, None where the events
    had no value; () where the price is not grouped.
    """

    quantity: Decimal
    events: int = 0
    group: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """One line item to bill for one service period, with what its meter counted then."""

    item: LineItem
    price: Price
    service: Service
    counted: Sequence[Counted] = ()


@dataclass(frozen=True, slots=True)
class RatedLine:
    """A line before it belongs to an invoice; see `InvoiceLine` for the fields."""

    kind: LineKind
    item_id: str
    price_id: str
    meter_id: str | None
    description: str
    group: Mapping[str, str | None]
    quantity: Decimal
    amount: Decimal
    currency: str
    service: Period
    price: Mapping[str, Any] = field(repr=False)
    explanation: Step = field(repr=False)


def rate(fact: Fact) -> Iterator[RatedLine]:
    """One line of a fixed charge; one line per group of a usage charge.

    Usage without a group is one line even where nothing was counted, so that the customer
    sees that nothing was.
    """
    if fact.price.charge is ChargeKind.FIXED:
        yield _fixed(fact)
        return
    for counted in sorted(fact.counted, key=lambda one: order_of(one.group)):
        yield _usage(fact, counted)


def order_of(group: Sequence[str | None]) -> list[tuple[bool, str]]:
    """Where a group's line stands among the others: by its values, absent ones first."""
    return [(value is not None, value or "") for value in group]


def snapshot(price: Price) -> dict[str, Any]:
    """The price as billed: everything that led to the amount, as JSON with decimals as text."""
    return {
        "id": price.id,
        "display_name": price.display_name,
        "charge": price.charge.value,
        "timing": price.timing.value,
        "currency": price.currency,
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
    priced = fact.price.adjustments.charged(held)
    charge = proration.trace(_charge(fact.price, priced), fact.service)
    return _line(fact, quantity, charge, priced)


def _usage(fact: Fact, counted: Counted) -> RatedLine:
    period = fact.service.period
    groups = dict(zip(fact.price.group_by, counted.group, strict=True))
    inputs = {
        "meter_id": fact.price.meter_id,
        "start": period.start.isoformat(),
        "end": period.end.isoformat(),
        **{f"group.{name}": value for name, value in groups.items()},
        "events": str(counted.events),
        "quantity": counted.quantity,
    }
    priced = fact.price.adjustments.charged(step("counted", inputs, counted.quantity))
    charge = _charge(fact.price, priced)
    return _line(fact, max(counted.quantity, Decimal(0)), charge, priced, groups=groups)


def _charge(price: Price, priced: Step) -> Step:
    """What the price asks for the quantity that `priced` leads to, within its limits."""
    # Corrections can bring a sum below zero; a price has no negative side.
    quantity = max(EXACT.create_decimal(priced.result), Decimal(0))
    return price.adjustments.limited(price.model.trace(quantity))


def _line(
    fact: Fact,
    quantity: Decimal,
    charge: Step,
    counted: Step,
    *,
    groups: Mapping[str, str | None] | None = None,
) -> RatedLine:
    price = fact.price
    tree = explanation.line(charge, counted, decimals=minor_units(price.currency))
    return RatedLine(
        kind=LineKind(price.charge.value),
        item_id=fact.item.id,
        price_id=price.id,
        meter_id=price.meter_id,
        description=price.display_name,
        group=groups or {},
        quantity=quantity,
        amount=EXACT.create_decimal(tree.result),
        currency=price.currency,
        service=fact.service.period,
        price=snapshot(price),
        explanation=tree,
    )
