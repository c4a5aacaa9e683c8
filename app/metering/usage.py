"""How much was used: exact totals of a meter for many customers and periods in one query.

Answers are exact under duplicates: rows are read with FINAL, which collapses the copies of a
metered row, and costs 3 to 4 times a plain sum here (measured: 27 ms against 10 ms for a month
of 500 customers out of 5 million rows; LIMIT 1 BY was as fast there, and slower on more rows).
Until a meter is backfilled the same question is put to the events themselves.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from app.infra.clickhouse import ClickHouse
from app.kernel.copies import replace
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering.figure import NOTHING, Span, Usage
from app.metering.filters import Match
from app.metering.meter import Meter
from app.metering.questions import Question, ask
from app.metering.walk import Walk
from app.metering.windows import MAX_WINDOWS, Window, Windows, all_windows, windows


async def totals(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    as_of: datetime | None = None,
) -> dict[Span, Usage]:
    """One figure per span; no usage is a figure of 0. Raises: Unavailable.

    With `as_of`, here and below: only what had been accepted before that instant counts.
    """
    found = await ask(scope, clickhouse, meter, Question(spans, as_of=as_of))
    return {span: found[span][0] if span in found else NOTHING for span in spans}


async def totals_of_meters(
    scope: Scope,
    clickhouse: ClickHouse,
    meters: Sequence[Meter],
    spans: Sequence[Span],
    *,
    as_of: datetime | None = None,
) -> dict[str, dict[Span, Usage]]:
    """`totals` of many meters by the meter's id, one query each. Raises: Unavailable."""
    answers = await asyncio.gather(
        *(totals(scope, clickhouse, meter, spans, as_of=as_of) for meter in meters)
    )
    return {meter.id: answer for meter, answer in zip(meters, answers, strict=True)}


async def grouped(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    group_by: Sequence[str],
    at_most: int | None = None,
    as_of: datetime | None = None,
) -> dict[Span, list[Usage]]:
    """The figures per span and combination of values that occurred, in order of the values.

    Raises: UnknownDimension, TooManyFigures (more than `at_most`), Unavailable.
    """
    question = Question(spans, tuple(group_by), at_most=at_most, as_of=as_of)
    found = await ask(scope, clickhouse, meter, question)
    return {span: found.get(span, []) for span in spans}


async def series(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    window: Window,
    zone: ZoneInfo,
    group_by: Sequence[str] = (),
    at_most: int | None = None,
    as_of: datetime | None = None,
) -> dict[Span, list[Usage]]:
    """The figures per span, window and group, in order of time; windows without usage are left
    out, and the first and last are cut to the span.

    Raises: UnknownDimension, TooManyWindows, TooManyFigures (more than `at_most`), Unavailable.
    """
    if not spans:
        return {}
    whole = Period(min(s.period.start for s in spans), max(s.period.end for s in spans))
    question = Question(
        spans,
        tuple(group_by),
        windows=windows(window, zone, whole),
        at_most=at_most,
        as_of=as_of,
    )
    found = await ask(scope, clickhouse, meter, question)
    return {span: found.get(span, []) for span in spans}


@dataclass(frozen=True, slots=True)
class Split:
    """Into which figures the usage of a span is taken apart; nothing given: one total.

    By values of dimensions, by the first of the `rows` that holds, and by the local windows of
    a `zone`. `walk` asks for the tally of every figure's single events.
    """

    group_by: tuple[str, ...] = ()
    rows: tuple[tuple[Match, ...], ...] = ()
    walk: Walk | None = None
    window: Window | None = None
    zone: ZoneInfo | None = None


async def measured(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    spans: Sequence[Span],
    *,
    split: Split,
    as_of: datetime | None = None,
) -> dict[Span, list[Usage]]:
    """The figures of every span, as billing needs them: however many windows there are.

    What has no usage is left out. Raises: UnknownDimension, Unavailable.
    """
    found: dict[Span, list[Usage]] = {span: [] for span in spans}
    for pieces, cut in _portions(list(found), split):
        question = Question(
            list(pieces), split.group_by, split.rows, split.walk, windows=cut, as_of=as_of
        )
        answers = await ask(scope, clickhouse, meter, question)
        for piece, owners in pieces.items():
            for owner in owners:
                found[owner] += answers.get(piece, [])
    return found


def _portions(
    spans: Sequence[Span], split: Split
) -> Iterator[tuple[dict[Span, list[Span]], Windows | None]]:
    """The spans, in parts with as many windows as one question holds, cut at a window's edge.

    Each piece of a span comes with the spans it is a piece of.
    """
    if split.window is None or split.zone is None or not spans:
        yield {span: [span] for span in spans}, None
        return
    whole = Period(min(s.period.start for s in spans), max(s.period.end for s in spans))
    edges = all_windows(split.window, split.zone, whole).edges
    for first in range(0, len(edges) - 1, MAX_WINDOWS):
        part = edges[first : first + MAX_WINDOWS + 1]
        pieces: dict[Span, list[Span]] = {}
        for span in spans:
            if inside := span.period.intersection(Period(part[0], part[-1])):
                pieces.setdefault(replace(span, period=inside), []).append(span)
        if pieces:
            yield pieces, Windows(part)


__all__ = [
    "NOTHING",
    "Span",
    "Split",
    "Usage",
    "grouped",
    "measured",
    "series",
    "totals",
    "totals_of_meters",
]
