"""The two traces that a change leaves, in the transaction that makes it."""

from datetime import datetime

from app.infra import outbox
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def note(
    scope: Scope,
    by: Actor,
    action: str,
    event: Event,
    *,
    at: datetime,
    before: object = None,
    after: object = None,
) -> None:
    """One audit entry about the event's entity, and the event. Call inside `writing(scope)`."""
    await audit.record(scope, by, action, event.entity_id, at=at, before=before, after=after)
    await outbox.put(scope, event)
