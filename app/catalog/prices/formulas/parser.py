"""Reads a formula, such as `max(input, 0) * 0.000003[USD/token] + if(runs > 100, 5[USD], 0)`.

    sum     = product (("+" | "-") product)*
    product = factor (("*" | "/") factor)*
    factor  = "-" factor | number ("[" unit "]")? | name | call | "(" sum ")"
    call    = ("min" | "max") "(" sum ("," sum)+ ")"
            | "clamp" "(" sum "," sum "," sum ")"           value, low, high
            | "divide" "(" sum "," sum "," sum ")"          a, b, what it is where b is 0
            | ("ceil" | "floor" | "round") "(" sum ("," places)? ")"
            | "if" "(" sum comparison sum "," sum "," sum ")"
            | ("lookup" | "graduated") "(" sum ("," number ":" sum)+ "," sum ")"

There are no loops and no names but those of the variables, so that every formula ends.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NoReturn, cast

from app.catalog.prices.formulas import units
from app.catalog.prices.formulas.syntax import (
    Arithmetic,
    Bound,
    Call,
    Choice,
    Comparison,
    Constant,
    Function,
    Node,
    Operator,
    Reference,
    Round,
    Rounding,
    Tiering,
    Tiers,
)
from app.kernel.errors import Invalid
from app.kernel.quantity import parse_decimal

LONGEST, MOST_NESTING = 4000, 30
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
FUNCTIONS = ("min", "max", "clamp", "divide")
ROUNDINGS = ("ceil", "floor", "round")
TIERINGS = ("lookup", "graduated")
RESERVED = frozenset({*FUNCTIONS, *ROUNDINGS, *TIERINGS, "if"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ARITY = {"clamp": 3, "divide": 3}
_MOST_ARGUMENTS = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<unit>\[[^\[\]]*\])|(?P<mark><=|>=|==|!=|[-+*/(),:<>])|(?P<end>$))"
)
_Kind = Literal["number", "name", "unit", "mark", "end"]


def parse(text: str) -> Node:
    """Raises: Invalid (FORMULA_SYNTAX, INVALID_UNIT), saying where."""
    if len(text) > LONGEST:
        raise Invalid(
            f"expression: {len(text)} characters are too many; at most {LONGEST} fit",
            field="expression",
            code="FORMULA_TOO_LARGE",
        )
    reader = _Reader(text)
    found = reader.sum()
    if reader.kind != "end":
        reader.fail("an operator or the end")
    return found


class _Reader:
    """Holds the place in the text: one word is looked at, and `take` moves on."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._nesting = text, 0, 0
        self.kind: _Kind = "end"
        self.word = ""
        self._start = 0
        self.take()

    def take(self) -> str:
        """The word looked at; the next is looked at from now on."""
        taken = self.word
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            self._start = len(self._text) - len(self._text[self._at :].lstrip())
            self.kind, self.word = "mark", self._text[self._start]
            self.fail("a number, a name or an operator")
        self.kind = cast("_Kind", match.lastgroup)
        self.word, self._start = match[self.kind], match.start(self.kind)
        self._at = match.end()
        return taken

    def at(self, mark: str) -> bool:
        return self.kind == "mark" and self.word == mark

    def expect(self, mark: str) -> None:
        if not self.at(mark):
            self.fail(f"`{mark}`")
        self.take()

    def fail(self, wanted: str) -> NoReturn:
        given = f"`{self.word}`" if self.kind != "end" else "the end"
        raise Invalid(
            f"expression: character {self._start + 1}: {given} is given where {wanted} belongs",
            field="expression",
            code="FORMULA_SYNTAX",
        )

    def sum(self) -> Node:
        return self._chain(self._product, "+-")

    def _product(self) -> Node:
        return self._chain(self._factor, "*/")

    def _chain(self, part: Callable[[], Node], marks: str) -> Node:
        found = part()
        while self.kind == "mark" and self.word in marks:
            op = cast("Operator", self.take())
            found = Arithmetic(op, found, part())
        return found

    def _factor(self) -> Node:
        self._nesting += 1
        if self._nesting > MOST_NESTING:
            raise Invalid(
                f"expression: more than {MOST_NESTING} levels of nesting",
                field="expression",
                code="FORMULA_TOO_LARGE",
            )
        found = self._inner()
        self._nesting -= 1
        return found

    def _inner(self) -> Node:
        if self.kind == "number":
            return self._constant()
        if self.kind == "name":
            return self._named()
        if self.at("-"):
            self.take()
            return _negated(self._factor())
        if self.at("("):
            self.take()
            found = self.sum()
            self.expect(")")
            return found
        return self.fail("a number, a name or `(`")

    def _constant(self) -> Constant:
        value = parse_decimal(self.take())
        unit = ""
        if self.kind == "unit":
            unit = units.written(units.parse(self.take()[1:-1], "expression"))
        return Constant(value, unit)

    def _named(self) -> Node:
        name = self.take()
        if not self.at("("):
            return Reference(name)
        if name not in RESERVED:
            self.fail(f"an operator (`{name}` is no function)")
        self.take()
        found = self._call(name)
        self.expect(")")
        return found

    def _call(self, name: str) -> Node:
        if name == "if":
            return self._choice()
        if name in TIERINGS:
            return self._tiers(cast("Tiering", name))
        if name in ROUNDINGS:
            of, places = self.sum(), 0
            if self.at(","):
                self.take()
                places = self._places()
            return Round(cast("Rounding", name), of, places)
        return self._function(cast("Function", name))

    def _function(self, name: Function) -> Call:
        arguments = [self.sum()]
        while self.at(",") and len(arguments) < _ARITY.get(name, _MOST_ARGUMENTS):
            self.take()
            arguments.append(self.sum())
        if len(arguments) < _ARITY.get(name, 2):
            self.fail("`,`")
        return Call(name, tuple(arguments))

    def _choice(self) -> Choice:
        left = self.sum()
        if self.word not in COMPARISONS:
            self.fail("a comparison")
        comparison = cast("Comparison", self.take())
        right = self.sum()
        self.expect(",")
        then = self.sum()
        self.expect(",")
        return Choice(comparison, left, right, then, self.sum())

    def _tiers(self, tiering: Tiering) -> Tiers:
        of, bounds = self.sum(), list[Bound]()
        while True:
            self.expect(",")
            start = self._start
            value = self.sum()
            if not self.at(":"):
                break
            if not isinstance(value, Constant):
                self._start = start
                self.fail("a number as the bound")
            self.take()
            bounds.append(Bound(value, self.sum()))
        if not bounds:
            self.fail("`:` and the value up to that bound")
        return Tiers(tiering, of, tuple(bounds), value)

    def _places(self) -> int:
        if self.kind != "number" or not self.word.isdecimal():
            self.fail("a whole number of decimals")
        return int(self.take())


def _negated(node: Node) -> Node:
    if isinstance(node, Constant):
        return Constant(-node.value, node.unit)
    return Arithmetic("-", Constant(Decimal(0)), node)
