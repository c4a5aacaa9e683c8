"""What the meters counted for the bills at hand: one question per meter and grouping for all
of their customers and periods together."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from app.customers import reads as customers
from app.infra.clickhouse import ClickHouse
from app.invoicing.bills import Bill, Billed, Entry
from app.invoicing.rating import Counted
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.metering import reads as meters
from app.metering import usage
from app.metering.meter import Meter
from app.metering.usage import Span

# What is asked in one query: the meter's id, and the dimensions that its totals are split by.
_Question = tuple[str, tuple[str, ...]]


async def count(
    scope: Scope, clickhouse: ClickHouse, bills: Iterable[Bill]
) -> dict[Billed, list[Counted]]:
    """The figures of every usage entry. Raises: NotFound (a meter is gone), Unavailable."""
    asked: defaultdict[_Question, list[tuple[Billed, Span]]] = defaultdict(list)
    listed = list(bills)
    external = await _external_ids(scope, listed)
    for bill in listed:
        name = external[bill.subscription.customer_id]
        for entry in bill.usage:
            span = Span(name, entry.service.period)
            asked[_question(entry)].append((entry.identity, span))
    found = await meters.by_ids(scope, {meter_id for meter_id, _ in asked})
    answers = await asyncio.gather(
        *(
            _answer(scope, clickhouse, _known(found, meter_id), wanted, group_by=group_by)
            for (meter_id, group_by), wanted in asked.items()
        )
    )
    return {billed: figures for answer in answers for billed, figures in answer.items()}


async def _answer(
    scope: Scope,
    clickhouse: ClickHouse,
    meter: Meter,
    wanted: Sequence[tuple[Billed, Span]],
    *,
    group_by: tuple[str, ...],
) -> dict[Billed, list[Counted]]:
    spans = [span for _, span in wanted]
    if not group_by:
        totals = await usage.totals(scope, clickhouse, meter, spans)
        return {
            billed: [Counted(totals[span].quantity, totals[span].event_count)]
            for billed, span in wanted
        }
    groups = await usage.grouped(scope, clickhouse, meter, spans, group_by=group_by)
    return {
        billed: [Counted(u.quantity, u.event_count, u.group) for u in groups[span]]
        for billed, span in wanted
    }


async def _external_ids(scope: Scope, bills: Sequence[Bill]) -> Mapping[str, str]:
    """The names that events carry, by the ids of the bills' customers."""
    ids = {bill.subscription.customer_id for bill in bills}
    found = await customers.by_ids(scope, ids)
    return {customer_id: customer.external_id for customer_id, customer in found.items()}


def _question(entry: Entry) -> _Question:
    if entry.price.meter_id is None:
        raise ValueError(f"usage price {entry.price.id} has no meter")
    return entry.price.meter_id, entry.price.group_by


def _known(found: Mapping[str, Meter], meter_id: str) -> Meter:
    if meter_id not in found:
        raise NotFound("meter", meter_id)
    return found[meter_id]
