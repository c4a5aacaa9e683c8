"""What prices are priced from: the figures of one line for one period. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec import Struct

from app.metering.walk import Tally


@dataclass(frozen=True, slots=True)
class Cell:
    """What was counted of one row of a matrix; `row` is its position, None the default.

    `values` are those of the matrix's dimensions where its cells are priced apart, else ().
    """

    row: int | None
    quantity: Decimal
    events: int = 0
    values: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class WindowFigure:
    """What was counted in the part of the period that starts at `start`; `part`: the part of the
    day that it is in, by its place among those with terms of their own."""

    start: datetime
    quantity: Decimal
    events: int = 0
    part: int | None = None


@dataclass(frozen=True, slots=True)
class MeterFigure:
    """What one of a formula's meters counted."""

    quantity: Decimal
    events: int = 0


class Figures(Struct, frozen=True):
    """`quantity` from `events`; the rest only where the price needs it (see `needs`).

    `group` has the values of the dimensions that the price is grouped by, in their order, None
    where the events had no value; () where it is not grouped.
    `windows` are the ones with usage, in order of time, beside `empty_windows` without, of which
    `empty_parts` are in each of the parts of the day.
    `meters` has the totals of a formula's meters by the names of its variables.
    """

    quantity: Decimal
    events: int = 0
    group: tuple[str | None, ...] = ()
    cells: tuple[Cell, ...] = ()
    windows: tuple[WindowFigure, ...] = ()
    empty_windows: int = 0
    empty_parts: tuple[int, ...] = ()
    tally: Tally | None = None
    meters: Mapping[str, MeterFigure] = msgspec.field(default_factory=dict)
