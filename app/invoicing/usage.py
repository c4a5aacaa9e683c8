"""What the meters counted for the bills at hand: one question per meter and kind of split for
all of their customers and periods together."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from app.catalog.price import Price
from app.catalog.prices import Figures
from app.catalog.prices.needs import Needs, needs
from app.customers import reads as customers
from app.customers.family import Membership, others_of
from app.infra.clickhouse import ClickHouse
from app.invoicing import reads
from app.invoicing.bills import Bill, Billed, Entry
from app.invoicing.commitment_reads import toward_commitments
from app.invoicing.committed import NOTHING_TOWARD
from app.invoicing.family import Share
from app.invoicing.figures import by_time_of_day, figures_of, with_meters
from app.invoicing.included import SpanFigure
from app.invoicing.invoice import InvoiceLine
from app.invoicing.rating import Counted
from app.invoicing.selecting import outside
from app.kernel.errors import NotFound
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import reads as meters
from app.metering import usage
from app.metering.meter import Meter
from app.metering.usage import Span, Split, Usage
from app.metering.windows import Window, all_windows
from app.subscriptions.family import is_per_customer, within
from app.subscriptions.periods import paused_within
from app.subscriptions.subscription import Subscription

# What is asked in one query: a meter's id, and how its usage is taken apart.
Question = tuple[str, Split]
Answers = Mapping[Question, Mapping[Span, Sequence[Usage]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A usage entry of a bill, the span it is about, and what its price needs to know.

    `memberships` are those of the customer's family, where its usage counts.
    """

    entry: Entry
    span: Span
    needs: Needs
    subscription: Subscription
    memberships: tuple[Membership, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.subscription.timezone)

    @property
    def main(self) -> Question:
        """The figures per group; of a formula, those of the meter that the price is for."""
        grouping = (*self.entry.price.group_by, *self.needs.apart)
        split = Split(grouping, self.needs.rows, self.needs.walk)
        return self._meter, split if self.needs.whole else self._windowed(split)

    @property
    def whole(self) -> Question | None:
        """The figures of all groups together, where they are priced so."""
        return (self._meter, self._windowed(Split())) if self.needs.whole else None

    @property
    def named(self) -> Mapping[str, Question]:
        """The figures of a formula's variables."""
        split = Split(self.entry.price.group_by)
        return {name: (meter, split) for name, meter in self.needs.meters if meter is not None}

    @property
    def questions(self) -> Iterator[Question]:
        yield self.main
        yield from self.named.values()
        if self.whole is not None:
            yield self.whole

    @property
    def spans(self) -> Iterator[tuple[Question, Span]]:
        """Everything that is asked, with what it is asked about."""
        for question in self.questions:
            yield question, self.span
        for span in self.included.values():
            yield self.totals, span
        for span in self.members.values():
            yield self.shares, span

    @property
    def included(self) -> dict[Period, Span]:
        """What allowances have to know: the totals of these periods, but for what is paused."""
        asked = self.entry.included.asked(self.entry.service.period)
        return {
            period: replace(self.span, period=period, gaps=paused_within(self.subscription, period))
            for period in sorted(asked)
        }

    @property
    def family(self) -> tuple[Period, ...]:
        """The parts of the service period in which the family's usage counts."""
        return within(self.subscription.families, self.span.period)

    @property
    def members(self) -> dict[tuple[str, str], Span]:
        """What each of the family used, by id and name, where they have lines of their own."""
        period, families = self.span.period, self.subscription.families
        if not is_per_customer(families, period):
            return {}
        parent = self.subscription.customer_id, self.span.external_customer_id
        found = {parent: replace(self.span, others=())}
        by_member: defaultdict[tuple[str, str], list[Membership]] = defaultdict(list)
        for each in self.memberships:
            by_member[each.customer_id, each.external_id].append(each)
        for member, mine in by_member.items():
            gaps = outside(mine, period, self.family, self.span.gaps)
            span = Span(member[1], period, gaps)
            if not span.is_empty:
                found[member] = span
        return found

    @property
    def shares(self) -> Question:
        """Where the answers of `members` are found: without windows and without a walk."""
        (meter, split) = self.main
        return meter, Split(split.group_by, split.rows)

    @property
    def totals(self) -> Question:
        """Where the answers of `included` are found."""
        return self._meter, Split()

    @property
    def _meter(self) -> str:
        if self.entry.price.meter_id is None:
            raise ValueError(f"usage price {self.entry.price.id} has no meter")
        return self.entry.price.meter_id

    def _windowed(self, split: Split) -> Split:
        if self.needs.bucket is None:
            return split
        return replace(split, window=Window(self.needs.bucket), zone=self.zone)


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
    return [Share(*member, rows=answers[asked.shares][span]) for member, span in members] or None


def _spans(asked: Asked, answers: Answers) -> dict[Period, SpanFigure]:
    families = asked.subscription.families
    return {
        period: SpanFigure(figure.quantity, figure.event_count, span.gaps, within(families, period))
        for period, span in asked.included.items()
        for figure in answers[asked.totals][span]
    }


def _figures(asked: Asked, answers: Answers) -> tuple[Sequence[Figures], Figures | None]:
    """Per group, and of all groups together where they are priced so."""
    needed, dimensions = asked.needs, len(asked.entry.price.group_by)
    rows = answers[asked.main][asked.span]
    if asked.whole is not None:
        whole = answers[asked.whole][asked.span]
        (together,) = _timed(asked, whole, dimensions=0)
        groups = figures_of(rows, replace(needed, bucket=None), dimensions=dimensions)
        return groups, together
    groups = _timed(asked, rows, dimensions=dimensions)
    if needed.meters:
        named = {name: answers[question][asked.span] for name, question in asked.named.items()}
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
    known: dict[str, Needs] = {}
    return [asked_of(subscription, entry, names, known) for subscription, entry in listed]


@dataclass(frozen=True, slots=True)
class Names:
    """The names that events carry, by the ids of customers, and the families of parents."""

    external: Mapping[str, str]
    families: Mapping[str, Sequence[Membership]]


def asked_of(
    subscription: Subscription, entry: Entry, names: Names, known: dict[str, Needs]
) -> Asked:
    """What has to be counted for an entry. `known` is what prices need, by their ids, which is
    added to."""
    price, service = entry.price, entry.service
    needed = known.get(price.id) or known.setdefault(price.id, _needs(price))
    customer_id, families = subscription.customer_id, subscription.families
    memberships = tuple(names.families.get(customer_id, ())) if families else ()
    others = others_of(memberships, [each.period for each in families])
    span = Span(names.external[customer_id], service.period, service.paused, others)
    return Asked(entry, span, needed, subscription, memberships)


def _needs(price: Price) -> Needs:
    return needs(price.model, price.adjustments, grouped=bool(price.group_by))


async def names_of(scope: Scope, subscriptions: Iterable[Subscription]) -> Names:
    """Of the subscriptions' customers: a statement, and one more where any counts a family."""
    listed = list(subscriptions)
    found = await customers.by_ids(scope, {each.customer_id for each in listed})
    parents = {each.customer_id for each in listed if each.families}
    families = await customers.memberships_of(scope, parents) if parents else {}
    external = {customer_id: customer.external_id for customer_id, customer in found.items()}
    return Names(external, families)


def _known(found: Mapping[str, Meter], meter_id: str) -> Meter:
    if meter_id not in found:
        raise NotFound("meter", meter_id)
    return found[meter_id]
