from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg

from app.infra import due, outbox
from app.infra.postgres import writing
from app.kernel.events import Event
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions.actions.rows import BILL, bill_at, lock, told
from app.subscriptions.events import (
    SubscriptionActivated,
    SubscriptionCanceled,
    SubscriptionEnded,
    SubscriptionRenewed,
)
from app.subscriptions.periods import at_period, next_point
from app.subscriptions.subscription import Subscription, SubscriptionStatus
from app.tenants import audit

_ADVANCE = (
    "UPDATE subscriptions AS s SET status = v.status, billed_until = v.billed_until, "
    "current_period_start = v.period_start, current_period_end = v.period_end, updated_at = $3 "
    "FROM unnest($4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], "
    "$8::timestamptz[], $9::text[], $10::timestamptz[], $11::timestamptz[]) "
    "AS v(id, status, billed_until, period_start, period_end, was, was_billed_until, ends_at) "
    "WHERE s.tenant_id = $1 AND s.environment_id = $2 AND s.id = v.id AND s.status = v.was "
    "AND s.billed_until IS NOT DISTINCT FROM v.was_billed_until "
    "AND s.ends_at IS NOT DISTINCT FROM v.ends_at RETURNING s.id"
)


@dataclass(frozen=True, slots=True)
class Billed:
    """A subscription as it was read for billing, and the last point billed of it."""

    subscription: Subscription
    until: datetime


async def advance(scope: Scope, billed: Sequence[Billed], *, at: datetime) -> set[str]:
    """Note how far these subscriptions are billed, and when they fall due next.

    Call in the transaction that writes their invoices, before it does. Returns the ids that
    moved; one that is missing was billed or changed by someone else since it was read, and
    none of its invoices may be written. Five statements, one more if any stops, and one more
    for each that starts or stops.
    """
    if not billed:
        return set()
    async with writing(scope) as connection:
        await lock(connection, scope, [each.subscription.id for each in billed])
        after = {each.subscription.id: _advanced(each, at=at) for each in billed}
        moved = await _store(connection, scope, billed, after, at=at)
        await _reschedule(scope, [after[key] for key in after if key in moved])
        events: list[Event] = []
        for each in billed:
            if each.subscription.id in moved:
                events += await _told(scope, each.subscription, after[each.subscription.id], at=at)
        await outbox.put_many(scope, events)
    return moved


def _advanced(billed: Billed, *, at: datetime) -> Subscription:
    moved = replace(billed.subscription, billed_until=billed.until, updated_at=at)
    moved = at_period(moved, billed.until)
    if moved.status is SubscriptionStatus.CANCELED:
        return moved
    if next_point(moved) is not None:
        return replace(moved, status=SubscriptionStatus.ACTIVE)
    canceled = moved.cancel_requested_at is not None
    return replace(
        moved, status=SubscriptionStatus.CANCELED if canceled else SubscriptionStatus.ENDED
    )


async def _store(
    connection: asyncpg.Connection,
    scope: Scope,
    billed: Sequence[Billed],
    after: dict[str, Subscription],
    *,
    at: datetime,
) -> set[str]:
    """The ids of the rows that still were as they had been read."""
    before = [each.subscription for each in billed]
    new = [after[subscription.id] for subscription in before]
    rows = await connection.fetch(
        _ADVANCE,
        scope.tenant_id,
        scope.environment_id,
        at,
        [s.id for s in new],
        [s.status.value for s in new],
        [s.billed_until for s in new],
        [s.current_period.start for s in new],
        [s.current_period.end for s in new],
        [s.status.value for s in before],
        [s.billed_until for s in before],
        [s.ends_at for s in before],
    )
    return {row["id"] for row in rows}


async def _reschedule(scope: Scope, moved: Sequence[Subscription]) -> None:
    points = [(each, next_point(each)) for each in moved]
    await due.schedule_many(
        scope, BILL, [bill_at(each, point.at) for each, point in points if point]
    )
    if over := [each.id for each, point in points if point is None]:
        await due.cancel(scope, BILL, over)


async def _told(
    scope: Scope, before: Subscription, after: Subscription, *, at: datetime
) -> list[Event]:
    """What happened besides billing; a change of status is audited, too."""
    events: list[Event] = []
    if after.status is not before.status:
        await audit.record(
            scope,
            SYSTEM,
            f"subscription.{_VERBS[after.status]}",
            after.id,
            at=at,
            before=before,
            after=after,
        )
    if before.status is SubscriptionStatus.SCHEDULED:
        events.append(SubscriptionActivated(**told(after), occurred_at=at))
    if after.status is SubscriptionStatus.ENDED:
        events.append(SubscriptionEnded(**told(after), occurred_at=at))
    elif after.status is SubscriptionStatus.CANCELED:
        if before.status is not SubscriptionStatus.CANCELED:
            events.append(SubscriptionCanceled(**told(after), occurred_at=at))
    elif before.billed_until is not None:
        period = after.current_period
        events.append(
            SubscriptionRenewed(
                **told(after), occurred_at=at, period_start=period.start, period_end=period.end
            )
        )
    return events


_VERBS = {
    SubscriptionStatus.ACTIVE: "activate",
    SubscriptionStatus.CANCELED: "cancel",
    SubscriptionStatus.ENDED: "end",
}
