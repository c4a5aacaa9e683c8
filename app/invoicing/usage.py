"""What the meters counted for the bills at hand: one question per meter and kind of split for
all of their customers and periods together."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from app.catalog.prices import Figures
from app.infra.clickhouse import ClickHouse
from app.invoicing import reads
from app.invoicing.asked import Asked, Known, Question, asked_of, names_of
from app.invoicing.bills import Bill, Billed, Entry
from app.invoicing.commitment_reads import toward_commitments
from app.invoicing.committed import NOTHING_TOWARD
from app.invoicing.family import Share
from app.invoicing.figures import by_time_of_day, figures_of, with_meters
from app.invoicing.included import SpanFigure
from app.invoicing.invoice import InvoiceLine
from app.invoicing.rating import Counted
from app.kernel.copies import replace
from app.kernel.errors import NotFound
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import reads as meters
from app.metering import usage
from app.metering.meter import Meter
from app.metering.usage import Span, Usage
from app.metering.windows import Window, all_windows
from app.subscriptions.family import within
from app.subscriptions.subscription import Subscription

Answers = Mapping[Question, Mapping[Span, Sequence[Usage]]]


async def count(
    scope: Scope, clickhouse: ClickHouse, bills: Iterable[Bill], *, as_of: datetime | None
) -> dict[Billed, Counted]:
    """The figures of every usage entry as of a watermark; None: as of now.

    Raises: NotFound (a meter is gone), Unavailable.
    """
    listed = list(bills)
    earlier = await _earlier(scope, listed)
    toward = await toward_commitments(scope, listed)
    used = [(bill.subscription, entry) for bill in listed for entry in bill.usage]
    found = await _measured(scope, clickhouse, await _asked(scope, used), as_of=as_of)
    if earlier or toward:  # most have neither
        found = {
            entry.identity: replace(
                found[entry.identity],
                earlier=_within(entry, earlier),
                toward=toward.get(entry.identity, NOTHING_TOWARD),
            )
            for _, entry in used
        }
    return found | {
        bill.identity: Counted(toward=toward[bill.identity])
        for bill in listed
        if bill.identity in toward
    }


async def recount(
    scope: Scope,
    clickhouse: ClickHouse,
    entries: Iterable[tuple[Subscription, Entry]],
    *,
    as_of: datetime | None,
) -> dict[Billed, Counted]:
    """The figures of usage that was billed before, as of another watermark or the same.

    Raises: NotFound (a meter is gone), Unavailable.
    """
    return await _measured(scope, clickhouse, await _asked(scope, entries), as_of=as_of)


async def _measured(
    scope: Scope, clickhouse: ClickHouse, asked: Sequence[Asked], *, as_of: datetime | None
) -> dict[Billed, Counted]:
    spans: defaultdict[Question, list[Span]] = defaultdict(list)
    for each in asked:
        for question, span in each.spans:
            spans[question].append(span)
    found = await meters.by_ids(scope, {meter_id for meter_id, _ in spans})
    answers = await asyncio.gather(
        *(
            usage.measured(
                scope, clickhouse, _known(found, meter_id), about, split=split, as_of=as_of
            )
            for (meter_id, split), about in spans.items()
        )
    )
    by_question = dict(zip(spans, answers, strict=True))
    return {
        each.entry.identity: Counted(
            *_figures(each, by_question),
            spans=_spans(each, by_question),
            family=each.family,
            shares=_shares(each, by_question),
        )
        for each in asked
    }


async def _earlier(scope: Scope, bills: Sequence[Bill]) -> list[InvoiceLine]:
    """The lines that billed usage of these subscriptions before its period ended."""
    ids = {b.subscription.id for b in bills if b.subscription.threshold_until is not None}
    return await reads.lines_of_thresholds(scope, ids) if ids else []


def _within(entry: Entry, earlier: Sequence[InvoiceLine]) -> tuple[InvoiceLine, ...]:
    """Those that billed a part of what the entry bills."""
    period = entry.service.period
    return tuple(
        line
        for line in earlier
        if line.subscription_line_item_id == entry.item.id
        and period.start <= line.service.start < period.end
    )


def _shares(asked: Asked, answers: Answers) -> list[Share] | None:
    """In the order of the names, so that the same shares come out whenever they are asked for."""
    members = sorted(asked.members.items(), key=lambda each: each[0][1])
    if not members:
        return None
    found = answers[asked.questions.shares]
    return [Share(*member, rows=found[span]) for member, span in members]


def _spans(asked: Asked, answers: Answers) -> dict[Period, SpanFigure]:
    families = asked.subscription.families
    return {
        period: SpanFigure(figure.quantity, figure.event_count, span.gaps, within(families, period))
        for period, span in asked.included.items()
        for figure in answers[asked.questions.totals][span]
    }


def _figures(asked: Asked, answers: Answers) -> tuple[Sequence[Figures], Figures | None]:
    """Per group, and of all groups together where they are priced so."""
    needed, dimensions = asked.needs, len(asked.entry.price.group_by)
    rows = answers[asked.questions.main][asked.span]
    if asked.questions.whole is not None:
        whole = answers[asked.questions.whole][asked.span]
        (together,) = _timed(asked, whole, dimensions=0)
        groups = figures_of(rows, replace(needed, bucket=None), dimensions=dimensions)
        return groups, together
    groups = _timed(asked, rows, dimensions=dimensions)
    if needed.meters:
        asked_by_name = asked.questions.named
        named = {name: answers[each][asked.span] for name, each in asked_by_name.items()}
        groups = with_meters(groups, named)
    return groups, None


def _timed(asked: Asked, rows: Sequence[Usage], *, dimensions: int) -> list[Figures]:
    """The figures, with what has to be known of the windows without usage."""
    starts, committing = _windows(asked), asked.entry.committing
    found = figures_of(rows, asked.needs, dimensions=dimensions, windows=len(starts))
    if committing is None or not committing.day_parts:
        return found
    parts = committing.day_parts
    return [by_time_of_day(each, parts, zone=asked.zone, starts=starts) for each in found]


def _windows(asked: Asked) -> list[datetime]:
    """The starts of the windows of the price that the span has time in."""
    if asked.needs.bucket is None:
        return []
    span = asked.span
    found = all_windows(Window(asked.needs.bucket), asked.zone, span.period)
    return found.touching(span.period.without(span.gaps))


async def _asked(scope: Scope, entries: Iterable[tuple[Subscription, Entry]]) -> list[Asked]:
    """What has to be counted for the entries."""
    listed = list(entries)
    names = await names_of(scope, [subscription for subscription, _ in listed])
    known: Known = {}
    return [asked_of(subscription, entry, names, known) for subscription, entry in listed]


def _known(found: Mapping[str, Meter], meter_id: str) -> Meter:
    if meter_id not in found:
        raise NotFound("meter", meter_id)
    return found[meter_id]
