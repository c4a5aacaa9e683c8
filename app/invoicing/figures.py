"""From the answers of metering to the figures that prices are priced from. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.catalog.prices import Cell, Figures, MeterFigure, WindowFigure
from app.catalog.prices.needs import Needs
from app.kernel.copies import replace
from app.kernel.quantity import added
from app.metering.figure import Usage
from app.subscriptions.commitments import DayPart

Group = tuple[str | None, ...]


def figures_of(
    rows: Sequence[Usage], needs: Needs, *, dimensions: int, windows: int = 0
) -> list[Figures]:
    """The figures per group, whose values are the first `dimensions` of a row's group.

    Without dimensions there is one, of nothing where there is no row. `windows` is how many
    windows there are in the period, those without usage included.
    """
    groups: defaultdict[Group, list[Usage]] = defaultdict(list)
    if not dimensions:
        groups[()] = []
    for row in rows:
        groups[row.group[:dimensions]].append(row)
    return [_figures(group, mine, needs, windows) for group, mine in groups.items()]


def by_time_of_day(
    figures: Figures, parts: Sequence[DayPart], *, zone: ZoneInfo, starts: Sequence[datetime]
) -> Figures:
    """The same, whose windows say which part of the local day they start in. `starts` are those
    of all windows in the period, without usage too."""
    place = {hour: index for index, part in enumerate(parts) for hour in part.hours}

    def part_of(start: datetime) -> int | None:
        return place.get(start.astimezone(zone).hour)

    used = tuple(replace(window, part=part_of(window.start)) for window in figures.windows)
    empty = Counter(part_of(start) for start in starts)
    empty.subtract(window.part for window in used)
    return replace(figures, windows=used, empty_parts=tuple(empty[i] for i in range(len(parts))))


def with_meters(figures: Sequence[Figures], named: Mapping[str, Sequence[Usage]]) -> list[Figures]:
    """The figures of a formula: per group that occurred for any of its meters."""
    found = {each.group: each for each in figures}
    by_name = {
        name: {row.group: MeterFigure(row.quantity, row.event_count) for row in rows}
        for name, rows in named.items()
    }
    groups = dict.fromkeys([*found, *(g for rows in by_name.values() for g in rows)])
    nothing = MeterFigure(Decimal(0))
    return [
        Figures(
            quantity=found[group].quantity if group in found else Decimal(0),
            events=found[group].events if group in found else 0,
            group=group,
            meters={name: rows.get(group, nothing) for name, rows in by_name.items()},
        )
        for group in groups
    ]


def _figures(group: Group, rows: Sequence[Usage], needs: Needs, windows: int) -> Figures:
    timed = [row for row in rows if row.window is not None] if needs.bucket is not None else []
    return Figures(
        quantity=added(row.quantity for row in rows),
        events=sum(row.event_count for row in rows),
        group=group,
        cells=tuple(_cell(row, needs) for row in rows) if needs.rows else (),
        windows=tuple(
            WindowFigure(row.window.start, row.quantity, row.event_count)
            for row in timed
            if row.window is not None
        ),
        empty_windows=windows - len(timed) if needs.bucket is not None else 0,
        tally=rows[0].tally if rows else None,
    )


def _cell(row: Usage, needs: Needs) -> Cell:
    values = row.group[len(row.group) - len(needs.apart) :] if needs.apart else ()
    return Cell(row.row, row.quantity, row.event_count, values)
