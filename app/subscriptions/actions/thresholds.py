from collections.abc import Collection, Sequence
from datetime import datetime

from app.infra import due, outbox
from app.infra.postgres import writing
from app.kernel.scope import Scope
from app.subscriptions import reads
from app.subscriptions.actions.rows import THRESHOLD, lock, told, watched
from app.subscriptions.events import SubscriptionThresholdReached
from app.subscriptions.subscription import Subscription

_BILLED = (
    "UPDATE subscriptions AS s SET threshold_until = $3, revision = s.revision + 1, "
    "updated_at = $3 FROM unnest($4::text[], $5::int[]) AS v(id, revision) "
    "WHERE s.tenant_id = $1 AND s.environment_id = $2 AND s.id = v.id "
    "AND s.revision = v.revision RETURNING s.id"
)


async def bill_usage_until(
    scope: Scope, subscriptions: Sequence[Subscription], *, at: datetime
) -> set[str]:
    """Note that the usage of these subscriptions is billed until `at`, ahead of their periods.

    Call in the transaction that writes their invoices, before it does. Returns the ids noted;
    one that is missing was billed or changed by someone else since it was read, and gets no
    invoice.
    """
    if not subscriptions:
        return set()
    async with writing(scope) as connection:
        await lock(connection, scope, [each.id for each in subscriptions])
        rows = await connection.fetch(
            _BILLED,
            scope.tenant_id,
            scope.environment_id,
            at,
            [each.id for each in subscriptions],
            [each.revision for each in subscriptions],
        )
        noted = {row["id"] for row in rows}
        events = [
            SubscriptionThresholdReached(**told(each), occurred_at=at)
            for each in subscriptions
            if each.id in noted
        ]
        await outbox.put_many(scope, events)
    return noted


async def watch_again(scope: Scope, ids: Collection[str], *, at: datetime, later: datetime) -> None:
    """Look at the usage of these subscriptions again `later`; no more at that of those which
    have no threshold any more, or are over."""
    async with writing(scope) as connection:
        await lock(connection, scope, sorted(ids))
        found = await reads.by_ids(scope, ids)
        going = [each for each in found.values() if watched(each, at)]
        await due.schedule_many(
            scope, THRESHOLD, [due.Item(s.id, later, s.customer_id) for s in going]
        )
        if over := sorted(set(ids) - {each.id for each in going}):
            await due.cancel(scope, THRESHOLD, over)
