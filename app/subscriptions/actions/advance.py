from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from app.infra import due, outbox
from app.infra.postgres import writing
from app.kernel.copies import replace
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions.actions.news import news
from app.subscriptions.actions.rows import BILL, bill_at, lock
from app.subscriptions.periods import BillingPoint, containing, instants
from app.subscriptions.records import plain
from app.subscriptions.subscription import Cut, Subscription
from app.tenants import audit

# The ids are said twice here, so that the table is looked into by its key and not read in full.
_ADVANCE = (
    "UPDATE subscriptions AS s SET status = v.status, billed_until = v.billed_until, "
    "current_period_start = v.period_start, current_period_end = v.period_end, "
    "cuts = v.cuts::jsonb, revision = s.revision + 1, updated_at = $3 "
    "FROM unnest($4::text[], $5::int[], $6::text[], $7::timestamptz[], $8::timestamptz[], "
    "$9::timestamptz[], $10::text[]) "
    "AS v(id, revision, status, billed_until, period_start, period_end, cuts) "
    "WHERE s.tenant_id = $1 AND s.environment_id = $2 AND s.id = ANY($4) AND s.id = v.id "
    "AND s.revision = v.revision RETURNING s.id"
)


@dataclass(frozen=True, slots=True)
class Billed:
    """A subscription as it was read for billing, the points billed of it in order, and what to
    remember of what was billed in advance."""

    subscription: Subscription
    points: tuple[BillingPoint, ...]
    cuts: tuple[Cut, ...] = ()


async def advance(scope: Scope, billed: Sequence[Billed], *, at: datetime) -> set[str]:
    """Note how far these subscriptions are billed, and when they fall due next.

    Call in the transaction that writes their invoices, before it does. Returns the ids that
    moved; one that is missing was billed or changed by someone else since it was read, and
    none of its invoices may be written. Six statements at most, however many.
    """
    if not billed:
        return set()
    async with writing(scope) as connection:
        await lock(connection, scope, [each.subscription.id for each in billed])
        after = {each.subscription.id: _advanced(each, at=at) for each in billed}
        moved = await _store(connection, scope, list(after.values()), at=at)
        await _reschedule(scope, [after[key] for key in after if key in moved])
        told = [
            news(each.subscription, after[each.subscription.id], each.points, at=at)
            for each in billed
            if each.subscription.id in moved
        ]
        entries = [entry for _, noted in told for entry in noted]
        await audit.record_many(scope, SYSTEM, entries, at=at)
        await outbox.put_many(scope, [event for events, _ in told for event in events])
    return moved


def _advanced(billed: Billed, *, at: datetime) -> Subscription:
    before, until = billed.subscription, billed.points[-1].at
    cuts = (*before.cuts, *billed.cuts)
    service = containing(before, until)
    return replace(
        before,
        status=before.status_at(until),
        billed_until=until,
        # Where no period holds it, it is over, and its last one stays.
        current_period=before.current_period if service is None else service.period,
        cuts=cuts,
        updated_at=at,
    )


async def _store(
    connection: asyncpg.Connection, scope: Scope, after: Sequence[Subscription], *, at: datetime
) -> set[str]:
    """The ids of the rows that still were as they had been read."""
    rows = await connection.fetch(
        _ADVANCE,
        scope.tenant_id,
        scope.environment_id,
        at,
        [s.id for s in after],
        [s.revision for s in after],
        [s.status.value for s in after],
        [s.billed_until for s in after],
        [s.current_period.start for s in after],
        [s.current_period.end for s in after],
        [orjson.dumps(plain(s.cuts)).decode() if s.cuts else "[]" for s in after],
    )
    return {row["id"] for row in rows}


async def _reschedule(scope: Scope, moved: Sequence[Subscription]) -> None:
    coming = [(each, next(instants(each), None)) for each in moved]
    await due.schedule_many(scope, BILL, [bill_at(each, at) for each, at in coming if at])
    if waiting := [each.id for each, at in coming if at is None]:
        await due.cancel(scope, BILL, waiting)
