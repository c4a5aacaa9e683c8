"""Who did what, when, from what to what: written in the transaction that did it."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.kernel.ids import new_id
from app.kernel.quantity import plain
from app.kernel.scope import Actor, Scope
from app.tenants.models import AuditEntryTable


async def record(
    scope: Scope,
    by: Actor,
    action: str,
    entity_id: str,
    *,
    at: datetime,
    before: object = None,
    after: object = None,
) -> None:
    """Append one entry; call inside `writing(scope)`.

    `action` reads `customer.update`. `before` and `after` are domain rows (dataclasses) or
    mappings; where both are given only what differs is kept.
    """
    old, new = facts(before), facts(after)
    if old is not None and new is not None:
        changed = [key for key in old.keys() | new.keys() if old.get(key) != new.get(key)]
        old = {key: old[key] for key in sorted(changed) if key in old}
        new = {key: new[key] for key in sorted(changed) if key in new}
    await AuditEntryTable.create(
        id=new_id("aud"),
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        at=at,
        actor_kind=by.kind,
        actor_id=by.id,
        request_id=by.request_id,
        action=action,
        entity_id=entity_id,
        before=old,
        after=new,
    )


def facts(value: object) -> dict[str, Any] | None:
    """A row as JSON: decimals as plain strings, instants as ISO 8601."""
    if value is None:
        return None
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"an audit entry tells of a row or a mapping, not of {value!r}")
    return {str(key): _fact(item) for key, item in value.items()}


def _fact(value: object) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _fact(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_fact(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
