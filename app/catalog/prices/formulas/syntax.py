"""The tree of a formula, as it is stored."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, Union

from msgspec import Struct

Operator = Literal["+", "-", "*", "/"]
Comparison = Literal["<", "<=", ">", ">=", "==", "!="]
# `divide(a, b, fallback)`: the fallback where b is 0.
Function = Literal["min", "max", "clamp", "divide"]
Rounding = Literal["ceil", "floor", "round"]
# `lookup`: the value of the tier that holds the number. `graduated`: the number's units, each at
# the value of the tier it falls in.
Tiering = Literal["lookup", "graduated"]


class Constant(Struct, frozen=True, tag_field="node", tag="number", omit_defaults=True):
    """`unit` as in `units.written`; none: a pure number."""

    value: Decimal
    unit: str = ""


class Reference(Struct, frozen=True, tag_field="node", tag="meter"):
    """What the meter of a variable counted; not below 0."""

    name: str


class Arithmetic(Struct, frozen=True, tag_field="node", tag="arithmetic"):
    op: Operator
    left: "Node"
    right: "Node"


class Call(Struct, frozen=True, tag_field="node", tag="call"):
    function: Function
    arguments: tuple["Node", ...]


class Round(Struct, frozen=True, tag_field="node", tag="round", omit_defaults=True):
    """To `places` decimals; `round` takes halves away from zero."""

    rounding: Rounding
    of: "Node"
    places: int = 0


class Choice(Struct, frozen=True, tag_field="node", tag="if"):
    comparison: Comparison
    left: "Node"
    right: "Node"
    then: "Node"
    otherwise: "Node"


class Bound(Struct, frozen=True):
    """`value` up to `up_to`, which is included."""

    up_to: Constant
    value: "Node"


class Tiers(Struct, frozen=True, tag_field="node", tag="tiers"):
    """`last` is the value beyond the last bound."""

    tiering: Tiering
    of: "Node"
    bounds: tuple[Bound, ...]
    last: "Node"


Node = Union[Constant, Reference, Arithmetic, Call, Round, Choice, Tiers]  # noqa: UP007 - recursive


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order in which they are written."""
    match node:
        case Constant() | Reference():
            return ()
        case Arithmetic():
            return node.left, node.right
        case Call():
            return node.arguments
        case Round():
            return (node.of,)
        case Choice():
            return node.left, node.right, node.then, node.otherwise
        case Tiers():
            inner = (part for bound in node.bounds for part in (bound.up_to, bound.value))
            return node.of, *inner, node.last


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(children(current))


def depth(node: Node) -> int:
    """How many nodes lie one inside the other at most."""
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        current, level = waiting.pop()
        deepest = max(deepest, level)
        waiting.extend((part, level + 1) for part in children(current))
    return deepest
