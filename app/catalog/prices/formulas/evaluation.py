"""Works a formula out, exactly, with its trace. It has a value for all that meters may count."""

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from app.catalog.prices.explanation import Inputs, Rule, Step, number, step
from app.catalog.prices.formulas.syntax import (
    Arithmetic,
    Call,
    Choice,
    Constant,
    Node,
    Reference,
    Round,
    Tiers,
    children,
)
from app.catalog.prices.rounding import rounded

_COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def trace(node: Node, named: Mapping[str, Decimal]) -> Step:
    """The step of the node, the steps of its children its parts.

    `named` has what the meter of each variable counted. Raises KeyError for one that is absent.
    """
    parts = tuple(trace(part, named) for part in children(node))
    rule, inputs = _applied(node, named)
    draft = step(rule, inputs, Fraction(0))
    results = [Fraction(part.result) for part in parts]
    return step(rule, inputs, RULES[rule].evaluate(draft.inputs, results), parts)


def _applied(
    node: Node, named: Mapping[str, Decimal]
) -> tuple[str, dict[str, Decimal | str | None]]:
    match node:
        case Constant():
            return "formula.number", {"value": node.value, "unit": node.unit}
        case Reference():
            return "formula.meter", {"name": node.name, "quantity": named[node.name]}
        case Arithmetic():
            return "formula.arithmetic", {"operator": node.op}
        case Call():
            return f"formula.{node.function}", {}
        case Round():
            places = Decimal(node.places)
            return "formula.round", {"rounding": node.rounding, "places": places}
        case Choice():
            return "formula.if", {"comparison": node.comparison}
        case Tiers():
            return f"formula.{node.tiering}", {}


def _arithmetic(inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    left, right = parts
    match inputs["operator"]:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left / right


def _choice(inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    left, right, then, otherwise = parts
    return then if _COMPARISONS[str(inputs["comparison"])](left, right) else otherwise


def _lookup(_inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    of, last = parts[0], parts[-1]
    bounds = zip(parts[1:-1:2], parts[2:-1:2], strict=True)
    return next((value for up_to, value in bounds if of <= up_to), last)


def _graduated(_inputs: Inputs, parts: Sequence[Fraction]) -> Fraction:
    of, last = parts[0], parts[-1]
    total = below = Fraction(0)
    for up_to, value in zip(parts[1:-1:2], parts[2:-1:2], strict=True):
        if of > below:
            total += (min(of, up_to) - below) * value
        below = up_to
    return total + max(of - below, Fraction(0)) * last


RULES = {
    "formula.number": Rule("a number of the formula", lambda i, _: number(i, "value")),
    "formula.meter": Rule(
        "what the variable's meter counted, not below 0",
        lambda i, _: max(number(i, "quantity"), Fraction(0)),
    ),
    "formula.arithmetic": Rule("the first part and the second, by the operator", _arithmetic),
    "formula.min": Rule("the least of the parts", lambda _, parts: min(parts)),
    "formula.max": Rule("the greatest of the parts", lambda _, parts: max(parts)),
    "formula.clamp": Rule(
        "the first part, but at least the second, but at most the third",
        lambda _, parts: min(max(parts[0], parts[1]), parts[2]),
    ),
    "formula.divide": Rule(
        "the first part ÷ the second; the third where the second is 0",
        lambda _, parts: parts[0] / parts[1] if parts[1] else parts[2],
    ),
    "formula.round": Rule(
        "the part, rounded to `places` decimals",
        lambda i, parts: rounded(parts[0], str(i["rounding"]), int(number(i, "places"))),
    ),
    "formula.if": Rule(
        "the third part where the first compares so with the second, else the fourth", _choice
    ),
    "formula.lookup": Rule(
        "the value of the first bound that the first part does not pass, else the last", _lookup
    ),
    "formula.graduated": Rule(
        "every unit of the first part at the value of the tier it falls in", _graduated
    ),
}
