"""Why a line costs what it costs: the trace of its price, with the count below and the rounding
on top, stored with the line.

`evaluate` works a stored tree out again without a database and must arrive at what was billed.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from app.catalog import prices
from app.catalog.prices import Rule, Step
from app.catalog.prices.explanation import evaluate as evaluate_tree
from app.catalog.prices.explanation import holds, merged, number, step
from app.invoicing import committed, included
from app.invoicing.amounts import steps
from app.kernel.quantity import exact_number, fraction_rounded, round_half_away
from app.subscriptions import commitments, proration

# What the steps of a line mean, besides those of its price.
LINE_RULES: dict[str, Rule] = {
    "counted": Rule(
        "what the meter counted for the customer in the period", lambda i, _: number(i, "quantity")
    ),
    "stated": Rule("what was written by hand", lambda i, _: number(i, "quantity")),
    "imagined": Rule("what a quote supposes was used", lambda i, _: number(i, "quantity")),
    "held": Rule("what the subscription held", lambda i, _: number(i, "quantity")),
    "remaining": Rule(
        "what it comes to so far, rounded to `decimals` places, less what was billed of it before",
        lambda i, parts: (
            Fraction(fraction_rounded(parts[0], int(number(i, "decimals")))) - number(i, "billed")
        ),
    ),
    "corrected": Rule(
        "what it comes to as of the watermark, rounded to `decimals` places, less what was billed "
        "and corrected of it before, and less what of the difference is billed elsewhere",
        lambda i, parts: (
            Fraction(fraction_rounded(parts[0], int(number(i, "decimals"))))
            - number(i, "billed")
            - number(i, "elsewhere")
        ),
    ),
    "line": Rule(
        "the charge, the first part, rounded once to `decimals` places, halves away from zero",
        lambda i, parts: Fraction(fraction_rounded(parts[0], int(number(i, "decimals")))),
    ),
}
RULES: dict[str, Rule] = merged(
    prices.RULES,
    proration.RULES,
    commitments.RULES,
    LINE_RULES,
    steps.RULES,
    included.RULES,
    committed.RULES,
)


class Unexplained(ValueError):
    """A stored tree is not one of ours, or does not lead from its inputs to its results."""


def line(charge: Step, *counted: Step, decimals: int) -> Step:
    """The tree of a whole line: its result is the amount billed."""
    exact = exact_number(charge.result)
    rounded = (
        round_half_away(exact, decimals)
        if isinstance(exact, Decimal)
        else fraction_rounded(exact, decimals)
    )
    return step("line", {"decimals": str(decimals)}, rounded, (charge, *counted))


def to_json(tree: Step) -> dict[str, Any]:
    """As stored on the line: rule, inputs and result of every step, and parts where it has any."""
    stored: dict[str, Any] = {"rule": tree.rule, "inputs": tree.inputs, "result": tree.result}
    if tree.parts:
        stored["parts"] = [to_json(part) for part in tree.parts]
    return stored


def from_json(stored: Mapping[str, Any]) -> Step:
    """Raises: Unexplained."""
    try:
        return msgspec.convert(stored, Step)
    except msgspec.ValidationError as error:
        raise Unexplained(f"not an explanation: {error}") from error


def evaluate(stored: Mapping[str, Any]) -> Decimal:
    """The amount that follows from the tree's inputs.

    Raises: Unexplained where a stored result, at any depth, is not what its rule gives.
    """
    tree = from_json(stored)
    try:
        sound = holds(tree, RULES)
        amount = evaluate_tree(tree, RULES)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise Unexplained(f"the tree cannot be evaluated: {error!r}") from error
    if not sound:
        raise Unexplained(f"{tree.result} is stored, {amount} follows from the inputs")
    # As exact as the stored result, which it equals.
    return fraction_rounded(amount, len(tree.result.partition(".")[2]))
