"""Between which values a formula lies, whatever its meters count: so that nothing is ever
divided by zero. Bounds are safe, not the tightest."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from app.catalog.prices.formulas.syntax import (
    Arithmetic,
    Call,
    Choice,
    Constant,
    Node,
    Reference,
    Round,
    Tiers,
)
from app.catalog.prices.rounding import rounded
from app.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`, both included; None: without end."""

    low: Fraction | None
    high: Fraction | None

    @property
    def may_be_zero(self) -> bool:
        below = self.low is None or self.low <= 0
        return below and (self.high is None or self.high >= 0)

    @property
    def may_be_negative(self) -> bool:
        return self.low is None or self.low < 0


_ANY = Range(None, None)


def range_of(node: Node) -> Range:
    """Raises: Invalid (FORMULA_DIVISION), where something is divided by what may be zero."""
    match node:
        case Constant():
            return Range(Fraction(node.value), Fraction(node.value))
        case Reference():
            return Range(Fraction(0), None)
        case Arithmetic():
            return _arithmetic(node)
        case Call():
            return _call(node)
        case Round():
            return _mapped(range_of(node.of), lambda v: rounded(v, node.rounding, node.places))
        case Choice():
            for side in (node.left, node.right):
                range_of(side)
            return _hull(range_of(node.then), range_of(node.otherwise))
        case Tiers():
            return _tiers(node)


def _arithmetic(node: Arithmetic) -> Range:
    left, right = range_of(node.left), range_of(node.right)
    match node.op:
        case "+":
            return Range(_sum(left.low, right.low), _sum(left.high, right.high))
        case "-":
            return Range(_difference(left.low, right.high), _difference(left.high, right.low))
        case "*":
            return _product(left, right)
        case "/":
            if right.may_be_zero:
                raise Invalid(
                    "expression: what is divided by may be 0; write divide(a, b, fallback), or "
                    "keep it above 0 with max",
                    field="expression",
                    code="FORMULA_DIVISION",
                )
            return _product(left, _inverse(right))


def _call(node: Call) -> Range:
    parts = [range_of(part) for part in node.arguments]
    match node.function:
        case "min":
            return _folded(_least, parts)
        case "max":
            return _folded(_greatest, parts)
        case "clamp":
            of, low, high = parts
            return _least(_greatest(of, low), high)
        case "divide":
            above, below, fallback = parts
            if below.may_be_zero:
                return (
                    _ANY
                    if above.may_be_negative or below.may_be_negative
                    else _hull(Range(Fraction(0), None), fallback)
                )
            return _hull(_product(above, _inverse(below)), fallback)


def _tiers(node: Tiers) -> Range:
    of = range_of(node.of)
    found = range_of(node.last)
    for bound in node.bounds:
        found = _hull(found, range_of(bound.value))
    if node.tiering == "lookup":
        return found
    # Every unit above 0 costs some value of the range.
    units = _greatest(of, Range(Fraction(0), Fraction(0)))
    return _product(Range(Fraction(0), units.high), found)


def _sum(left: Fraction | None, right: Fraction | None) -> Fraction | None:
    return None if left is None or right is None else left + right


def _difference(left: Fraction | None, right: Fraction | None) -> Fraction | None:
    return None if left is None or right is None else left - right


def _product(left: Range, right: Range) -> Range:
    ends = [(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    if all(a is not None and b is not None for a, b in ends):
        values = [a * b for a, b in ends if a is not None and b is not None]
        return Range(min(values), max(values))
    if left.may_be_negative or right.may_be_negative:
        return _ANY
    low = Fraction(0) if left.low is None or right.low is None else left.low * right.low
    return Range(low, None if left.high != 0 and right.high != 0 else Fraction(0))


def _inverse(of: Range) -> Range:
    """1 over a range without 0. At an end that is open the quotient comes near 0."""
    ends = [Fraction(0) if end is None else 1 / end for end in (of.low, of.high)]
    return Range(min(ends), max(ends))


def _folded(combine: Callable[[Range, Range], Range], parts: list[Range]) -> Range:
    found = parts[0]
    for part in parts[1:]:
        found = combine(found, part)
    return found


def _least(left: Range, right: Range) -> Range:
    low = None if left.low is None or right.low is None else min(left.low, right.low)
    highs = [high for high in (left.high, right.high) if high is not None]
    return Range(low, min(highs, default=None))


def _greatest(left: Range, right: Range) -> Range:
    high = None if left.high is None or right.high is None else max(left.high, right.high)
    lows = [low for low in (left.low, right.low) if low is not None]
    return Range(max(lows, default=None), high)


def _hull(left: Range, right: Range) -> Range:
    low = None if left.low is None or right.low is None else min(left.low, right.low)
    high = None if left.high is None or right.high is None else max(left.high, right.high)
    return Range(low, high)


def _mapped(of: Range, change: Callable[[Fraction], Fraction]) -> Range:
    return Range(
        None if of.low is None else change(of.low), None if of.high is None else change(of.high)
    )
