"""What a price asks for usage that somebody imagines. Pure: the code that rates, without a bill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from app.catalog.prices import (
    Adjustments,
    Cell,
    Conversion,
    Figures,
    Formula,
    Matrix,
    MeterFigure,
    Percentage,
    PriceModel,
    Step,
    WindowFigure,
    converted,
)
from app.catalog.prices.charging import charge
from app.catalog.prices.explanation import step
from app.invoicing import explanation
from app.kernel.currencies import minor_units
from app.kernel.errors import Invalid
from app.kernel.money import Money
from app.kernel.quantity import EXACT
from app.metering.walk import fold

T = TypeVar("T")

MOST_PARTS = 1_000
FIRST_WINDOW, _HOUR = datetime(2000, 1, 1, tzinfo=UTC), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CellUsage:
    """What was used with these values of a matrix's dimensions."""

    dimensions: Mapping[str, str | None]
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Usage:
    """What is imagined, in one of these forms, whichever the price can be priced from."""

    quantity: Decimal | None = None
    amounts: Sequence[Decimal] | None = None
    cells: Sequence[CellUsage] | None = None
    windows: Sequence[Decimal] | None = None
    meters: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """`tree` explains `amount`, which is rounded; its first part is the exact charge."""

    amount: Money
    exact: str
    tree: Step


def quote(
    model: PriceModel,
    adjustments: Adjustments,
    usage: Usage,
    *,
    currency: str,
    conversion: Conversion | None = None,
) -> Quote:
    """The charge of one group, row of lines included, for one full period.

    Raises: Invalid (QUOTE_USAGE, where the price is not priced from what is given;
    UNKNOWN_DIMENSION, UNKNOWN_VARIABLE, TOO_MANY_PARTS).
    """
    figures = figures_of(model, adjustments, usage)
    imagined = step("imagined", {"quantity": figures.quantity}, figures.quantity)
    found = charge(model, adjustments, figures, imagined)
    asked = converted(found.amount, conversion)
    tree = explanation.line(asked, found.quantity, decimals=minor_units(currency))
    amount = Money(EXACT.create_decimal(tree.result), currency)
    return Quote(amount, asked.result, tree)


def figures_of(model: PriceModel, adjustments: Adjustments, usage: Usage) -> Figures:
    """What a price is priced from. Raises: Invalid, as `quote`."""
    _check(usage)
    match model:
        case Percentage():
            return _events(model, _given(usage.amounts, "amounts", "the amounts of its events"))
        case Matrix():
            return _cells(model, _given(usage.cells, "cells", "a quantity per combination"))
        case Formula():
            return _meters(model, _given(usage.meters, "meters", "what each variable counts"))
        case _ if adjustments.bucket is not None:
            return _windows(_given(usage.windows, "windows", "a quantity per window"))
    if usage.amounts is not None:
        return Figures(_sum(usage.amounts), len(usage.amounts))
    return Figures(_given(usage.quantity, "quantity", "a quantity, or the amounts of events"))


def _events(model: Percentage, amounts: Sequence[Decimal]) -> Figures:
    return Figures(_sum(amounts), len(amounts), tally=fold(model.walk, amounts))


def _cells(model: Matrix, cells: Sequence[CellUsage]) -> Figures:
    """Cells of one row are one where they are priced together."""
    for index, cell in enumerate(cells):
        for name in cell.dimensions:
            if name not in model.dimensions:
                raise Invalid(
                    f"usage.cells[{index}].dimensions: {name!r} is none of the matrix's "
                    f"dimensions; there are: {', '.join(model.dimensions)}",
                    field=f"usage.cells[{index}].dimensions",
                    code="UNKNOWN_DIMENSION",
                )
    found: dict[tuple[int | None, tuple[str | None, ...]], Decimal] = {}
    for cell in cells:
        values = tuple(cell.dimensions.get(name) for name in model.dimensions)
        place = (model.row_of(cell.dimensions), values if model.cells == "apart" else ())
        found[place] = EXACT.add(found.get(place, Decimal(0)), cell.quantity)
    split = [Cell(row, quantity, values=values) for (row, values), quantity in found.items()]
    return Figures(_sum([cell.quantity for cell in cells]), cells=model.complete(split))


def _meters(model: Formula, meters: Mapping[str, Decimal]) -> Figures:
    names = [variable.name for variable in model.variables]
    for name in meters:
        if name not in names:
            raise Invalid(
                f"usage.meters: {name!r} is none of the formula's variables; there are: "
                f"{', '.join(names)}",
                field="usage.meters",
                code="UNKNOWN_VARIABLE",
            )
    nothing = Decimal(0)
    figures = {name: MeterFigure(meters.get(name, nothing)) for name in names}
    return Figures(nothing, meters=figures)


def _windows(quantities: Sequence[Decimal]) -> Figures:
    """Windows one after the other; those of 0 are without usage."""
    used = tuple(
        WindowFigure(FIRST_WINDOW + index * _HOUR, quantity)
        for index, quantity in enumerate(quantities)
        if quantity
    )
    return Figures(_sum(quantities), windows=used, empty_windows=len(quantities) - len(used))


def _check(usage: Usage) -> None:
    parts = {
        "amounts": usage.amounts,
        "cells": usage.cells,
        "windows": usage.windows,
        "meters": usage.meters,
    }
    for name, given in parts.items():
        if given is not None and len(given) > MOST_PARTS:
            raise Invalid(
                f"usage.{name}: {len(given)} are too many; at most {MOST_PARTS} fit",
                field=f"usage.{name}",
                code="TOO_MANY_PARTS",
            )


def _sum(quantities: Sequence[Decimal]) -> Decimal:
    total = Decimal(0)
    for quantity in quantities:
        total = EXACT.add(total, quantity)
    return total


def _given(value: T | None, name: str, what: str) -> T:
    if value is None:
        raise Invalid(
            f"usage.{name}: this price is priced from {what}; give those",
            field=f"usage.{name}",
            code="QUOTE_USAGE",
        )
    return value
