from collections.abc import Sequence

import orjson
from tortoise import connections

from app.infra.arrays import joined, texts
from app.kernel.events import Event
from app.kernel.scope import Scope

_INSERT = (
    "INSERT INTO outbox "  # noqa: S608
    "(tenant_id, environment_id, told, name, entity_id, occurred_at, payload) "
    "SELECT $1, $2, false, * "
    f"FROM unnest({texts(3)}, {texts(4)}, $5::timestamptz[], {texts(6)}::jsonb[])"
)
CHANNEL = "tariff_outbox"


async def put(scope: Scope, event: Event) -> None:
    """Tell `event` once the transaction around this call commits; never if it does not."""
    await put_many(scope, [event])


async def put_many(scope: Scope, events: Sequence[Event]) -> None:
    """Tell events of one scope, in this order, in one statement."""
    if not events:
        return
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            _INSERT,
            scope.tenant_id,
            scope.environment_id,
            joined(event.name for event in events),
            joined(event.entity_id for event in events),
            [event.occurred_at for event in events],
            joined(orjson.dumps(event.payload()).decode() for event in events),
        )
        # Delivered by PostgreSQL at commit: a relay that listens wakes at once.
        await connection.execute(f"NOTIFY {CHANNEL}")
