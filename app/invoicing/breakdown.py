"""The rows under a line: read from its explanation, so that they cannot say anything else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.catalog.prices import MODELS, Step
from app.invoicing.explanation import from_json
from app.kernel.quantity import fraction_rounded

# What is shown of a fraction that has no exact decimal.
_SHOWN_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A priced part: `quantity` × `unit_amount` + `flat_amount` = `amount`, not yet rounded.

    `above` and `up_to` bound a tier; both None where there are no tiers, and `up_to` alone in
    the last one. `per` is how many units one `unit_amount` buys. `share` is what part of a
    full period was served, in percent; None where all of it was. Amounts are in the currency,
    also where the price is in a unit of its own.
    """

    above: Decimal | None
    up_to: Decimal | None
    quantity: Decimal
    unit_amount: Decimal
    per: Decimal
    flat_amount: Decimal
    amount: Decimal
    share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A step that no row shows: what happened to the quantity before it was priced, or to the
    amount after. `result` is a quantity or an amount in major units; `of_quantity` says which."""

    rule: str
    inputs: Mapping[str, str | None]
    result: Decimal
    of_quantity: bool


@dataclass(frozen=True, slots=True)
class Converted:
    """What a line comes to in the unit of its price, before rounding: `amount` × `rate` of the
    currency."""

    unit: str
    amount: Decimal
    rate: Decimal


def converted(stored: Mapping[str, Any]) -> Converted | None:
    """The line in the unit of its price; None where the price has none."""
    charge = next(iter(from_json(stored).parts), None)
    step = charge
    while step is not None and step.rule != "conversion":
        step = next(iter(step.parts), None)
    if charge is None or step is None:
        return None
    rate = Fraction(str(step.inputs["rate"]))
    units = Fraction(charge.result) / rate
    return Converted(str(step.inputs["unit"]), _shown(units), _shown(rate))


def rows(stored: Mapping[str, Any]) -> list[Row]:
    """The priced parts of a stored explanation, in its order; [] where nothing was priced."""
    return list(_rows(from_json(stored), None, Fraction(1)))


# By rule: which inputs are the unit amount and the quantity.
_PRICED = {
    "tier": ("unit_amount", "quantity"),
    "flat": ("flat_amount", "quantity"),
    "per_unit": ("unit_amount", "quantity"),
    "package": ("package_amount", "packages"),
    "percentage_tier": ("rate_percent", "quantity"),
    "paid_share": ("rate_percent", "paid"),
    "event_fees": ("amount", "events"),
    "dynamic": ("multiplier", "event_amounts"),
}
# Of these the unit amount is money, and not a share or a factor.
_MONEY = ("unit_amount", "flat_amount", "package_amount", "amount")
_TIERS = ("tier", "percentage_tier")
# What is below them is not this line's alone, or too much to print.
_CLOSED = ("group_share", "bucketed")
_KINDS = frozenset(model.kind for model in MODELS)


def notes(stored: Mapping[str, Any]) -> list[Note]:
    """From what was counted up to what was priced, then from what that came to up to the amount.

    The line's own rounding is left out.
    """
    tree = from_json(stored)
    if not tree.parts:
        return []
    charge, *quantity = tree.parts
    found = [_note(step, of_quantity=True) for part in quantity for step in _upwards(part)]
    told = [s for s in _upwards(charge) if s.rule not in _PRICED and s.rule not in _KINDS]
    # What lies below a conversion is in the unit of the price.
    at = next((index for index, step in enumerate(told) if step.rule == "conversion"), 0)
    rate = _number(told[at], "rate") if at else Fraction(1)
    return found + [
        _note(step, of_quantity=False, rate=rate if index < at else Fraction(1))
        for index, step in enumerate(told)
    ]


def _upwards(tree: Step) -> Iterator[Step]:
    """The first part of each step, from the lowest up that is not the rows' to tell."""
    if tree.parts and not (tree.rule in _PRICED or tree.rule in _CLOSED or tree.rule in _KINDS):
        yield from _upwards(tree.parts[0])
    yield tree


def _note(step: Step, *, of_quantity: bool, rate: Fraction = Fraction(1)) -> Note:
    return Note(step.rule, step.inputs, _shown(Fraction(step.result) * rate), of_quantity)


def _rows(tree: Step, share: Decimal | None, rate: Fraction) -> Iterator[Row]:
    if tree.rule in _PRICED:
        yield _row(tree, share, rate)
        return
    if tree.rule in _CLOSED:
        return
    if served := _served(tree):
        share = fraction_rounded(served * 100, 2)
    if tree.rule == "conversion":
        rate = _number(tree, "rate")
    for part in tree.parts:
        yield from _rows(part, share, rate)


def _served(tree: Step) -> Fraction | None:
    if tree.rule == "proration":
        return _number(tree, "served_seconds") / _number(tree, "full_seconds")
    if tree.rule == "proration_days":
        return _number(tree, "served_days") / _number(tree, "full_days")
    return None


def _row(tree: Step, share: Decimal | None, rate: Fraction) -> Row:
    unit, quantity = _PRICED[tree.rule]
    tiered = tree.rule in _TIERS
    return Row(
        above=_decimal(tree.inputs["above"]) if tiered else None,
        up_to=_decimal(tree.inputs["up_to"]) if tiered else None,
        quantity=_shown(_number(tree, quantity)),
        unit_amount=_shown(_number(tree, unit) * (rate if unit in _MONEY else 1)),
        per=_per(tree, unit),
        flat_amount=_shown(_number(tree, "flat_amount") * rate) if tiered else Decimal(0),
        amount=_shown(Fraction(tree.result) * rate),
        share=share,
    )


def _per(tree: Step, unit: str) -> Decimal:
    if unit == "rate_percent":
        return Decimal(100)
    return _shown(_number(tree, "size")) if tree.rule == "package" else Decimal(1)


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _number(tree: Step, name: str) -> Fraction:
    return Fraction(tree.inputs[name] or 0)


def _shown(value: Fraction) -> Decimal:
    return fraction_rounded(value, _SHOWN_DECIMALS)
