"""Writes a formula so that `parser.parse` reads the same tree, with as few brackets as it needs."""

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
from app.kernel.quantity import plain

_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2}


def written(node: Node) -> str:
    match node:
        case Constant():
            return plain(node.value) + (f"[{node.unit}]" if node.unit else "")
        case Reference():
            return node.name
        case Arithmetic():
            strength = _STRENGTH[node.op]
            left, right = _within(node.left, strength), _within(node.right, strength + 1)
            return f"{left} {node.op} {right}"
        case Call():
            return f"{node.function}({', '.join(written(part) for part in node.arguments)})"
        case Round():
            places = f", {node.places}" if node.places else ""
            return f"{node.rounding}({written(node.of)}{places})"
        case Choice():
            test = f"{written(node.left)} {node.comparison} {written(node.right)}"
            return f"if({test}, {written(node.then)}, {written(node.otherwise)})"
        case Tiers():
            bounds = [f"{written(bound.up_to)}: {written(bound.value)}" for bound in node.bounds]
            return f"{node.tiering}({', '.join([written(node.of), *bounds, written(node.last)])})"


def _within(node: Node, strength: int) -> str:
    """As a side of an operator that binds this strongly."""
    bare = not isinstance(node, Arithmetic) or _STRENGTH[node.op] >= strength
    return written(node) if bare else f"({written(node)})"
