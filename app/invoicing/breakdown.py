"""The rows under a line: read from its explanation, so that they cannot say anything else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.catalog.prices import Step
from app.invoicing.explanation import from_json
from app.kernel.quantity import fraction_rounded

# What is shown of a fraction that has no exact decimal.
_SHOWN_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A priced part: `quantity` × `unit_amount` + `flat_amount` = `amount`, not yet rounded.

    `above` and `up_to` bound a tier; both None where there are no tiers, and `up_to` alone in
    the last one. `per` is how many units one `unit_amount` buys. `share` is what part of a
    full period was served, in percent; None where all of it was.
    """

    above: Decimal | None
    up_to: Decimal | None
    quantity: Decimal
    unit_amount: Decimal
    per: Decimal
    flat_amount: Decimal
    amount: Decimal
    share: Decimal | None = None


def rows(stored: Mapping[str, Any]) -> list[Row]:
    """The priced parts of a stored explanation, in its order; [] where nothing was priced."""
    return list(_rows(from_json(stored), None))


def _rows(tree: Step, share: Decimal | None) -> Iterator[Row]:
    match tree.rule:
        case "tier":
            yield _row(tree, unit="unit_amount", quantity="quantity", share=share)
        case "flat":
            yield _row(tree, unit="flat_amount", quantity="quantity", share=share)
        case "per_unit":
            yield _row(tree, unit="unit_amount", quantity="quantity", share=share)
        case "package":
            yield _row(tree, unit="package_amount", quantity="packages", share=share)
        case "proration":
            served = _number(tree, "served_seconds") / _number(tree, "full_seconds")
            for part in tree.parts:
                yield from _rows(part, fraction_rounded(served * 100, 2))
        case _:
            for part in tree.parts:
                yield from _rows(part, share)


def _row(tree: Step, *, unit: str, quantity: str, share: Decimal | None) -> Row:
    tiered = tree.rule == "tier"
    return Row(
        above=_decimal(tree.inputs["above"]) if tiered else None,
        up_to=_decimal(tree.inputs["up_to"]) if tiered else None,
        quantity=_shown(_number(tree, quantity)),
        unit_amount=_shown(_number(tree, unit)),
        per=_shown(_number(tree, "size")) if tree.rule == "package" else Decimal(1),
        flat_amount=_shown(_number(tree, "flat_amount")) if tiered else Decimal(0),
        amount=_shown(Fraction(tree.result)),
        share=share,
    )


def _decimal(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _number(tree: Step, name: str) -> Fraction:
    return Fraction(tree.inputs[name] or 0)


def _shown(value: Fraction) -> Decimal:
    return fraction_rounded(value, _SHOWN_DECIMALS)
