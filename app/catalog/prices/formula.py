from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal, Self

from msgspec import Struct

from app.catalog.prices import numbers
from app.catalog.prices.explanation import Rule, Step, step
from app.catalog.prices.formulas import evaluation, units
from app.catalog.prices.formulas.parser import NAME, RESERVED, parse
from app.catalog.prices.formulas.printing import written
from app.catalog.prices.formulas.ranges import range_of
from app.catalog.prices.formulas.syntax import Constant, Node, Reference, Round, Tiers, depth, walk
from app.kernel.errors import Invalid
from app.kernel.quantity import Number, exact_number

MOST_VARIABLES, MOST_NODES, MOST_DEPTH, MOST_PLACES = 10, 200, 100, 18
RULES = evaluation.RULES | {
    "formula": Rule("the formula's value, not below 0", lambda _, parts: max(parts[0], Fraction(0)))
}


class Variable(Struct, frozen=True, omit_defaults=True):
    """A name of the formula: what a feature's meter counts, in its unit, such as `token`."""

    name: str
    unit: str
    feature_id: str | None = None
    meter_id: str | None = None


class Formula(Struct, frozen=True, tag_field="model", tag="formula"):
    """An expression over what several meters counted. Its unit must be the price's currency.

    It has a value whatever they count: nothing is divided by what may be 0. Below 0 it is 0.
    """

    kind: ClassVar[Literal["formula"]] = "formula"
    expression: Node
    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        _check_size(self.expression)
        _check_variables(self.variables)
        _check_names(self.expression, self.variables)
        for node in walk(self.expression):
            _check_node(node)
        units.unit_of(self.expression, self._units())
        range_of(self.expression)

    @classmethod
    def parsed(cls, text: str, variables: tuple[Variable, ...]) -> Self:
        """Raises: Invalid."""
        return cls(parse(text), variables)

    @property
    def text(self) -> str:
        return written(self.expression)

    @property
    def unit(self) -> str | None:
        """Of its value; None: it is always 0, which is of every unit."""
        found = units.unit_of(self.expression, self._units())
        return None if found is None else units.written(found)

    @property
    def may_be_negative(self) -> bool:
        """Whether something may be cut off at 0. True where that is not known."""
        return range_of(self.expression).may_be_negative

    def amount(self, named: Mapping[str, Decimal]) -> Number:
        """Unrounded. Raises KeyError (nothing is known of a variable)."""
        return exact_number(self.trace(named).result)

    def trace(self, named: Mapping[str, Decimal]) -> Step:
        inner = evaluation.trace(self.expression, named)
        value = max(Fraction(inner.result), Fraction(0))
        return step(self.kind, {"expression": self.text, "unit": self.unit}, value, (inner,))

    def _units(self) -> dict[str, units.Unit]:
        return {variable.name: units.parse(variable.unit) for variable in self.variables}


def _check_size(expression: Node) -> None:
    nodes = sum(1 for _ in walk(expression))
    if nodes > MOST_NODES or depth(expression) > MOST_DEPTH:
        raise Invalid(
            f"expression: {nodes} parts, nested {depth(expression)} deep, are too many; at most "
            f"{MOST_NODES} and {MOST_DEPTH} fit",
            field="expression",
            code="FORMULA_TOO_LARGE",
        )


def _check_variables(variables: tuple[Variable, ...]) -> None:
    if not 1 <= len(variables) <= MOST_VARIABLES:
        raise Invalid(
            f"variables: {len(variables)} were given; give 1 to {MOST_VARIABLES}",
            field="variables",
            code="INVALID_VARIABLES",
        )
    for index, variable in enumerate(variables):
        path = f"variables[{index}]"
        if not NAME.fullmatch(variable.name) or variable.name in RESERVED:
            raise Invalid(
                f"{path}.name: {variable.name!r} must be a word of letters, digits and _, at most "
                "64 of them, and none of the functions",
                field=f"{path}.name",
                code="INVALID_VARIABLE_NAME",
            )
        if variable.name in {other.name for other in variables[:index]}:
            raise Invalid(
                f"{path}.name: {variable.name!r} is named twice",
                field=f"{path}.name",
                code="DUPLICATE_VARIABLE",
            )
        if not units.parse(variable.unit, f"{path}.unit"):
            raise Invalid(
                f"{path}.unit: what a meter counts has a unit, such as token",
                field=f"{path}.unit",
                code="INVALID_UNIT",
            )


def _check_names(expression: Node, variables: tuple[Variable, ...]) -> None:
    """Every name is a variable, and every variable is named."""
    used = {node.name for node in walk(expression) if isinstance(node, Reference)}
    known = {variable.name for variable in variables}
    for name in sorted(used - known):
        raise Invalid(
            f"expression: {name!r} is none of the variables; there are: {', '.join(sorted(known))}",
            field="expression",
            code="UNKNOWN_VARIABLE",
        )
    for index, variable in enumerate(variables):
        if variable.name not in used:
            raise Invalid(
                f"variables[{index}].name: the expression does not use {variable.name!r}",
                field=f"variables[{index}].name",
                code="UNUSED_VARIABLE",
            )


def _check_node(node: Node) -> None:
    match node:
        case Constant():
            numbers.amount(abs(node.value), "expression")
        case Round() if not 0 <= node.places <= MOST_PLACES:
            raise Invalid(
                f"expression: {node.rounding} to {node.places} decimals; 0 to {MOST_PLACES} are "
                "possible",
                field="expression",
                code="INVALID_PRECISION",
            )
        case Tiers():
            _check_bounds(node)


def _check_bounds(node: Tiers) -> None:
    below = Decimal(0) if node.tiering == "graduated" else None
    for bound in node.bounds:
        if below is not None and bound.up_to.value <= below:
            raise Invalid(
                f"expression: the bounds of {node.tiering} must ascend; {bound.up_to.value} does "
                f"not lie above {below}",
                field="expression",
                code="TIERS_NOT_ASCENDING",
            )
        below = bound.up_to.value
