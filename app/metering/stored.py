"""Metering what has just been stored, and telling its failures from those of single rows."""

from collections.abc import Awaitable, Iterable

import structlog

from app.infra.clickhouse import ClickHouse
from app.kernel.errors import Unavailable
from app.kernel.scope import Scope
from app.metering import reads
from app.metering.derivation import derive_batch

log = structlog.get_logger(__name__)

# What the server says of rows it cannot take, as against statements or its own condition:
# unreadable text, numbers, instants and JSON (6, 26, 27, 33, 38, 41, 72, 117), values out of
# range or of another type (53, 69, 131, 349, 407), a violated constraint (469).
ROWS_AT_FAULT = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 72, 117, 131, 349, 407, 469})


async def meter_batch(
    clickhouse: ClickHouse, touched: Iterable[tuple[str, str, str]], batch: str
) -> None:
    """Derive the metered rows of a batch that was inserted under this name.

    `touched` gives tenant, environment and event name of its rows. Raises: Unavailable.
    """
    names: dict[Scope, set[str]] = {}
    for tenant_id, environment_id, event_name in set(touched):
        names.setdefault(Scope(tenant_id, environment_id), set()).add(event_name)
    # Read after the insert: a meter that is created meanwhile either is found here, or
    # finds these rows when it counts what was stored before it.
    meters = await reads.by_event_names(names)
    await derive_batch(clickhouse, meters, batch_ids=[batch])


async def settled(step: Awaitable[None]) -> None:
    """A step that does not depend on single rows: its failure is never a message's fault."""
    try:
        await step
    except Unavailable:
        raise
    except Exception as error:
        log.exception("events_not_metered")
        raise Unavailable("metering", f"{type(error).__name__}: {error}") from error
