from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

from app.catalog.prices.dynamic import Dynamic
from app.catalog.prices.explanation import Rule, Step, step
from app.catalog.prices.figures import Cell
from app.catalog.prices.graduated import Graduated
from app.catalog.prices.graduated_percentage import GraduatedPercentage
from app.catalog.prices.package import Package
from app.catalog.prices.per_unit import PerUnit
from app.catalog.prices.volume import Volume
from app.kernel import checks
from app.kernel.checks import located
from app.kernel.errors import Invalid
from app.kernel.quantity import Number, exact_number, plus
from app.metering.filters import Match

RowModel = PerUnit | Package | Graduated | Volume | GraduatedPercentage | Dynamic
CellPricing = Literal["together", "apart"]
MOST_ROWS, MOST_DIMENSIONS, MOST_VALUES = 200, 5, 100
MOST_BYTES = 8_000  # of all dimensions and values: they travel with every question about usage
VALUE_LENGTH = 255

RULES = {
    "matrix_row": Rule("the charge of the row's quantity", lambda _, parts: parts[0]),
    "matrix": Rule("sum of the rows", lambda _, parts: sum(parts, start=Fraction(0))),
}


class MatrixRow(Struct, frozen=True, omit_defaults=True):
    """What costs `price`: events of which every dimension named has one of the values."""

    match: tuple[Match, ...]
    price: RowModel
    display_name: str | None = None


class Matrix(Struct, frozen=True, tag_field="model", tag="matrix"):
    """A price per row of a table: usage is split by dimensions, and the amounts add up.

    Usage belongs to the first row that matches it, else to `default`. What matches a row is
    priced together, or each combination of values on its own (`apart`). With `line_per_row`
    each row with usage has a line of its own on the invoice, under its display name.
    """

    kind: ClassVar[Literal["matrix"]] = "matrix"
    rows: tuple[MatrixRow, ...]
    default: RowModel
    default_name: str | None = None
    cells: CellPricing = "together"
    line_per_row: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.rows) <= MOST_ROWS:
            raise Invalid(
                f"rows: {len(self.rows)} were given; give 1 to {MOST_ROWS}",
                field="rows",
                code="INVALID_ROWS",
            )
        for index, row in enumerate(self.rows):
            with located(f"rows[{index}]"):
                _check_row(row)
        if len(self.dimensions) > MOST_DIMENSIONS:
            raise Invalid(
                f"rows: they name {len(self.dimensions)} dimensions; at most {MOST_DIMENSIONS} fit",
                field="rows",
                code="TOO_MANY_DIMENSIONS",
            )
        if (length := sum(_bytes(row) for row in self.rows)) > MOST_BYTES:
            raise Invalid(
                f"rows: {length} bytes of dimensions and values are too many; at most "
                f"{MOST_BYTES} fit",
                field="rows",
                code="INVALID_ROWS",
            )
        _check_name(self.default_name, "defaultName")
        if self.cells not in ("together", "apart"):
            raise Invalid(
                f"cells: {self.cells!r} is neither together nor apart",
                field="cells",
                code="INVALID_CELLS",
            )

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Every dimension that a row names, in the order of the rows."""
        names = (match.property for row in self.rows for match in row.match)
        return tuple(dict.fromkeys(names))

    def row_of(self, values: Mapping[str, str | None]) -> int | None:
        """The position of the first row that matches; None: the default."""
        return next(
            (i for i, row in enumerate(self.rows) if all(m.holds(values) for m in row.match)), None
        )

    def model_of(self, row: int | None) -> RowModel:
        return self.default if row is None else self.rows[row].price

    def name_of(self, row: int | None) -> str | None:
        return self.default_name if row is None else self.rows[row].display_name

    def complete(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """The cells, and one of nothing for each row that charges where nothing was used."""
        if self.cells == "apart":
            return tuple(cells)
        used = {cell.row for cell in cells}
        unused = (row for row in (*range(len(self.rows)), None) if row not in used)
        nothing = (Cell(row, Decimal(0)) for row in unused if self.model_of(row).amount(Decimal(0)))
        return (*cells, *nothing)

    def amount(self, cells: Sequence[Cell]) -> Number:
        """Unrounded."""
        return exact_number(self.trace(cells).result)

    def trace(self, cells: Sequence[Cell]) -> Step:
        parts = tuple(self._part(cell) for cell in cells)
        total: Number = Decimal(0)
        for part in parts:
            total = plus(total, exact_number(part.result))
        return step(self.kind, {"cells": self.cells}, total, parts)

    def _part(self, cell: Cell) -> Step:
        # Corrections can bring a sum below zero; a price has no negative side.
        priced = self.model_of(cell.row).trace(max(cell.quantity, Decimal(0)))
        inputs = {
            "row": "default" if cell.row is None else Decimal(cell.row + 1),
            "display_name": self.name_of(cell.row),
            "quantity": cell.quantity,
            "events": Decimal(cell.events),
            **dict(zip((f"value.{name}" for name in self.dimensions), cell.values, strict=False)),
        }
        return step("matrix_row", inputs, exact_number(priced.result), (priced,))


def _check_row(row: MatrixRow) -> None:
    _check_name(row.display_name, "displayName")
    if not row.match:
        raise Invalid(
            "match: a row needs at least one dimension; what matches no row is priced by default",
            field="match",
            code="REQUIRED",
        )
    for index, match in enumerate(row.match):
        if match.property in {other.property for other in row.match[:index]}:
            raise Invalid(
                f"match[{index}].dimension: {match.property!r} is named twice",
                field=f"match[{index}].dimension",
                code="DUPLICATE_DIMENSION",
            )
        if not 1 <= len(match.values) <= MOST_VALUES:
            raise Invalid(
                f"match[{index}].values: {len(match.values)} were given; give 1 to {MOST_VALUES}",
                field=f"match[{index}].values",
                code="INVALID_VALUES",
            )
        for value in match.values:
            if len(value) > VALUE_LENGTH or not checks.storable(value):
                raise checks.invalid(
                    f"match[{index}].values",
                    f"at most {VALUE_LENGTH} characters each, without NUL and lone surrogates",
                )


def _bytes(row: MatrixRow) -> int:
    texts = [text for match in row.match for text in (match.property, *match.values)]
    return sum(len(text.encode()) for text in texts)


def _check_name(name: str | None, field: str) -> None:
    if name is not None:
        checks.text(name, field)
