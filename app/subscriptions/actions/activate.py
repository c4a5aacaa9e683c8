from datetime import datetime

import asyncpg

from app.catalog.actions import overrides
from app.catalog.actions.locks import lock
from app.infra.postgres import writing
from app.kernel.copies import replace
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.create import (
    customer_in_use,
    status_of_new,
    trial_started,
    version_for_sale,
)
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.changes.drafts import started
from app.subscriptions.errors import SubscriptionIsNotDraft, SubscriptionIsOver
from app.subscriptions.events import SubscriptionActivated
from app.subscriptions.subscription import OVER, Subscription, SubscriptionStatus
from app.subscriptions.terms import within

_MOVE_LINES = (
    "UPDATE subscription_line_items SET starts_at = $4, updated_at = $5 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND subscription_id = $3"
)


async def activate(
    scope: Scope,
    subscription_id: str,
    starts_at: datetime | None = None,
    *,
    by: Actor,
    at: datetime,
) -> Subscription:
    """Let a draft begin: at `starts_at`, else at the start that it names, else now.

    Anchor, trial, period and lines follow the start, and billing is scheduled. It stays on the
    prices that it was drafted with.
    Raises: Invalid, NotFound, Archived, PlanNotPublished, SubscriptionIsNotDraft,
    SubscriptionIsOver.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        if before.status in OVER:
            raise SubscriptionIsOver(subscription_id, before.status.value)
        if before.status is not SubscriptionStatus.DRAFT:
            raise SubscriptionIsNotDraft(subscription_id, before.status.value)
        await customer_in_use(scope, before.customer_id)
        await lock(connection, scope, "plans", before.plan_id, shared=True)
        await version_for_sale(scope, before.plan_id)
        start = starts_at or (before.starts_at if before.start_given else at)
        after = started(before, within(start, "startsAt"), at=at)
        after = replace(after, start_given=True, status=status_of_new(after, at=at))
        await move_lines(connection, scope, after, at=at)
        events: list[Event] = []
        if after.status is not SubscriptionStatus.SCHEDULED:
            events = [
                SubscriptionActivated(**told(after), occurred_at=at),
                *trial_started(after, at=at),
            ]
        return await save(
            scope, before, after, events, action="subscription.activate", by=by, at=at
        )


async def move_lines(
    connection: asyncpg.Connection, scope: Scope, draft: Subscription, *, at: datetime
) -> None:
    """Let the lines of a draft, and the prices of its own, start with it."""
    ids = (scope.tenant_id, scope.environment_id, draft.id)
    await connection.execute(_MOVE_LINES, *ids, draft.starts_at, at)
    await overrides.move(scope, draft.id, draft.starts_at, at=at)
