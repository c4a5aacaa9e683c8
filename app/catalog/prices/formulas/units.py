"""Units of formulas: products of powers of names, such as `USD/token`."""

import re
from collections.abc import Mapping
from typing import NoReturn

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
from app.kernel.errors import Invalid

# The power of each name, none of them 0. None is the unit of a bare 0, which goes with every
# other: `max(x, 0)`.
Unit = Mapping[str, int]
Found = Unit | None

LENGTH, HIGHEST_POWER = 64, 9
_PART = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\^([1-9]))?")


def parse(text: str, field: str = "unit") -> Unit:
    """`USD/token`, `token*hour`, `m^2`, `1/s`; nothing: a pure number. Raises: Invalid."""
    squeezed = text.replace(" ", "")
    if not squeezed:
        return {}
    if len(squeezed) > LENGTH:
        raise _invalid(text, field, f"at most {LENGTH} characters fit")
    powers: dict[str, int] = {}
    for index, piece in enumerate(re.split(r"([*/])", "*" + squeezed)[1:]):
        if index % 2 == 0:
            sign = 1 if piece == "*" else -1
        elif piece == "1" and index == 1:
            continue
        else:
            found = _PART.fullmatch(piece)
            if found is None:
                raise _invalid(text, field, "write names with * and /, such as USD/token")
            powers[found[1]] = powers.get(found[1], 0) + sign * int(found[2] or 1)
    return _known({name: power for name, power in powers.items() if power}, text, field)


def written(unit: Unit) -> str:
    """The canonical text: equal units have equal texts."""
    above = [_power(name, power) for name, power in sorted(unit.items()) if power > 0]
    below = [_power(name, -power) for name, power in sorted(unit.items()) if power < 0]
    if not above and not below:
        return ""
    return "/".join(["*".join(above) or "1", *below])


def unit_of(node: Node, variables: Mapping[str, Unit]) -> Found:
    """The unit of a formula's value.

    Raises: Invalid (FORMULA_UNITS), where it adds or compares what has not the same unit.
    """
    match node:
        case Constant():
            return None if node.value == 0 and not node.unit else parse(node.unit)
        case Reference():
            return variables[node.name]
        case Arithmetic(op="+" | "-"):
            return _same(node.op, unit_of(node.left, variables), unit_of(node.right, variables))
        case Arithmetic():
            sign = 1 if node.op == "*" else -1
            return _product(unit_of(node.left, variables), unit_of(node.right, variables), sign)
        case Call(function="divide"):
            above, below, fallback = (unit_of(part, variables) for part in node.arguments)
            return _same("divide", _product(above, below, -1), fallback)
        case Call():
            return _all_same(node.function, [unit_of(part, variables) for part in node.arguments])
        case Round():
            return unit_of(node.of, variables)
        case Choice():
            _same(node.comparison, unit_of(node.left, variables), unit_of(node.right, variables))
            return _same("if", unit_of(node.then, variables), unit_of(node.otherwise, variables))
        case Tiers():
            return _tiers(node, variables)


def _tiers(node: Tiers, variables: Mapping[str, Unit]) -> Found:
    of = unit_of(node.of, variables)
    for bound in node.bounds:
        _same(node.tiering, of, unit_of(bound.up_to, variables))
    values = [*(bound.value for bound in node.bounds), node.last]
    value = _all_same(node.tiering, [unit_of(each, variables) for each in values])
    return value if node.tiering == "lookup" else _product(of, value, 1)


def _all_same(where: str, units: list[Found]) -> Found:
    found: Found = None
    for unit in units:
        found = _same(where, found, unit)
    return found


def _same(where: str, left: Found, right: Found) -> Found:
    if left is None or right is None:
        return left if right is None else right
    if left != right:
        _mismatch(where, left, right)
    return left


def _product(left: Found, right: Found, sign: int) -> Found:
    if left is None or right is None:
        return None
    powers = dict(left)
    for name, power in right.items():
        powers[name] = powers.get(name, 0) + sign * power
    product = {name: power for name, power in powers.items() if power}
    return _known(product, written(product), "expression")


def _known(unit: Unit, text: str, field: str) -> Unit:
    if any(abs(power) > HIGHEST_POWER for power in unit.values()):
        raise _invalid(text, field, f"powers reach to {HIGHEST_POWER}")
    return unit


def _power(name: str, power: int) -> str:
    return name if power == 1 else f"{name}^{power}"


def _mismatch(where: str, left: Unit, right: Unit) -> NoReturn:
    raise Invalid(
        f"expression: `{where}` brings together {_said(left)} and {_said(right)}; both sides need "
        "the same unit",
        field="expression",
        code="FORMULA_UNITS",
    )


def _said(unit: Unit) -> str:
    return written(unit) or "a pure number"


def _invalid(text: str, field: str, why: str) -> Invalid:
    return Invalid(f"{field}: {text!r} is no unit; {why}", field=field, code="INVALID_UNIT")
