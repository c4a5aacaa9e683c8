from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.infra import outbox
from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.rows import locked, schedule_billing, store, told
from app.subscriptions.errors import CancellationIsPending, SubscriptionIsOver
from app.subscriptions.events import SubscriptionUpdated
from app.subscriptions.periods import at_period
from app.subscriptions.subscription import OVER, Subscription
from app.subscriptions.terms import check_end
from app.tenants import audit


async def update(
    scope: Scope, subscription_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Subscription:
    """Change `metadata`, `ends_at` or both; what `patch` does not hold stays as it is.

    An end lies in the future; None takes it off. Metadata changes even when all is over.
    Raises: Invalid, NotFound, SubscriptionIsOver, CancellationIsPending.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        after = replace(before, updated_at=at)
        if "metadata" in patch:
            after = replace(after, metadata=checks.metadata(patch["metadata"] or {}))
        if "ends_at" in patch:
            after = _ending(after, patch["ends_at"], at=at)
        await store(scope, after)
        await schedule_billing(scope, after)
        await audit.record(
            scope, by, "subscription.update", subscription_id, at=at, before=before, after=after
        )
        await outbox.put(scope, SubscriptionUpdated(**told(after), occurred_at=at))
    return after


def _ending(subscription: Subscription, ends_at: datetime | None, *, at: datetime) -> Subscription:
    if subscription.status in OVER:
        raise SubscriptionIsOver(subscription.id, subscription.status.value)
    if subscription.cancel_requested_at is not None:
        raise CancellationIsPending(subscription.id, "endsAt")
    if ends_at is not None:
        check_end(ends_at, after=max(at, subscription.starts_at))
    changed = replace(subscription, ends_at=ends_at)
    return at_period(changed, subscription.current_period.start)
