"""How an amount came about, as data: a tree that can be evaluated again without a database.

A step names its rule, the inputs of the rule and the result; the results of its parts are
inputs too. Numbers are exact text: a plain decimal such as `12.5`, or a fraction such as `2/3`
where no decimal is exact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from app.kernel.quantity import EXACT, Number, plain

Inputs = Mapping[str, str | None]


class Step(Struct, frozen=True, omit_defaults=True):
    """One application of a rule. `result` is in major units of the price's currency."""

    rule: str
    inputs: dict[str, str | None]
    result: str
    parts: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a step's name means: the formula in words, and the same as arithmetic."""

    formula: str
    evaluate: Callable[[Inputs, Sequence[Fraction]], Fraction]


def merged(*families: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules of all families. Raises ValueError where two give one name to different rules."""
    found: dict[str, Rule] = {}
    for rules in families:
        if taken := found.keys() & rules.keys():
            raise ValueError(f"more than one rule is called {', '.join(sorted(taken))}")
        found |= rules
    return found


def step(
    rule: str,
    inputs: Mapping[str, Number | str | None],
    result: Number,
    parts: tuple[Step, ...] = (),
) -> Step:
    """A step with its numbers written as text."""
    return Step(rule, written(inputs), text(result), parts)


def written(inputs: Mapping[str, Number | str | None]) -> dict[str, str | None]:
    """The inputs of a step with their numbers as text."""
    return {
        name: value if value is None or isinstance(value, str) else text(value)
        for name, value in inputs.items()
    }


def evaluate(tree: Step, rules: Mapping[str, Rule]) -> Fraction:
    """The amount that the rules give for the tree's inputs; stored results are not looked at.

    Raises KeyError for a rule, or an input of one, that is not there.
    """
    parts = [evaluate(part, rules) for part in tree.parts]
    return rules[tree.rule].evaluate(tree.inputs, parts)


def holds(tree: Step, rules: Mapping[str, Rule]) -> bool:
    """Whether every stored result of the tree, at every depth, is what its rule gives."""
    return evaluate(tree, rules) == Fraction(tree.result) and all(
        holds(part, rules) for part in tree.parts
    )


def number(inputs: Inputs, name: str) -> Fraction:
    """A number among a step's inputs. Raises KeyError where it is absent or null."""
    value = inputs[name]
    if value is None:
        raise KeyError(name)
    return Fraction(value)


def text(value: Number) -> str:
    """A plain decimal where there is an exact one, else `numerator/denominator`."""
    if isinstance(value, Decimal):
        return plain(value)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return str(value)
    return plain(EXACT.divide(Decimal(value.numerator), Decimal(value.denominator)))
