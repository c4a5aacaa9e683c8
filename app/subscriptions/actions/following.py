"""Changes that follow the end of the period they were asked for with, where that moves."""

from datetime import datetime

from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.actions import change_rows
from app.subscriptions.actions.rows import told
from app.subscriptions.changes.timing import comes_at, next_change
from app.subscriptions.events import SubscriptionChangeScheduled
from app.subscriptions.subscription import Subscription
from app.tenants import audit


async def followed(
    scope: Scope, after: Subscription, *, by: Actor, at: datetime
) -> tuple[Subscription, list[SubscriptionChangeScheduled]]:
    """The subscription, whose pauses or trial have changed, with the next of its changes, and the
    news of those that moved. One whose period has no end meanwhile is not due.

    Call before it is saved, with its row locked.
    """
    events = []
    coming = (await reads.scheduled_changes(scope, [after.id]))[after.id]
    for change in coming:
        comes = comes_at(after, change)
        if comes is None:
            await change_rows.unschedule(scope, change)
            continue
        moved = replace(change, effective_at=comes)
        if moved != change:
            moved = replace(moved, updated_at=at)
            await change_rows.write(scope, moved)
            action = "subscription_change.move"
            await audit.record(scope, by, action, change.id, at=at, before=change, after=moved)
            events.append(
                SubscriptionChangeScheduled(
                    **told(after),
                    occurred_at=at,
                    change_id=change.id,
                    kind=change.kind.value,
                    effective_at=comes,
                )
            )
        await change_rows.schedule(scope, moved)
    return replace(after, next_change_at=next_change(after, coming)), events
