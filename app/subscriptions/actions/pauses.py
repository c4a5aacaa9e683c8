"""The rows of pauses, beside what billing knows of them in the subscription's own row."""

from datetime import datetime

from app.kernel.copies import fields_of
from app.kernel.scope import Scope
from app.subscriptions.models import PauseTable
from app.subscriptions.pause import Pause, PauseSpan


async def insert(scope: Scope, pause: Pause) -> None:
    owner = {"tenant_id": scope.tenant_id, "environment_id": scope.environment_id}
    row = fields_of(pause) | {"behaviour": pause.behaviour.value}
    await PauseTable.create(**(owner | row))


async def update(scope: Scope, span: PauseSpan, *, at: datetime) -> None:
    """Let the row say what the span does."""
    await _rows(scope, span.id).update(
        ends_at=span.ends_at, behaviour=span.behaviour.value, updated_at=at
    )


async def take_back(scope: Scope, pause_id: str, *, at: datetime) -> None:
    await _rows(scope, pause_id).update(canceled_at=at, updated_at=at)


def _rows(scope: Scope, pause_id: str):  # type: ignore[no-untyped-def]
    return PauseTable.filter(
        tenant_id=scope.tenant_id, environment_id=scope.environment_id, id=pause_id
    )
