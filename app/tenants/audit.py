"""Who did what, when, from what to what: written in the transaction that did it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from tortoise import connections

from app.infra.arrays import joined, texts
from app.kernel.copies import fields_of, is_record
from app.kernel.ids import new_ids
from app.kernel.quantity import plain
from app.kernel.scope import Actor, Scope

_INSERT = (
    "INSERT INTO audit_entries "  # noqa: S608
    "(tenant_id, environment_id, at, actor_kind, actor_id, request_id, "
    "id, action, entity_id, before, after) SELECT $1, $2, $3, $4, $5, $6, * "
    f"FROM unnest({texts(7)}, {texts(8)}, $9::text[], {texts(10)}::jsonb[], {texts(11)}::jsonb[])"
)
_KEYS = orjson.OPT_NON_STR_KEYS  # enums among them


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done to one thing; see `record` for the fields."""

    action: str
    entity_id: str
    before: object = None
    after: object = None


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

    `action` reads `customer.update`. `before` and `after` are rows of a domain
    or mappings; where both are given only what differs is kept.
    """
    await record_many(scope, by, [Entry(action, entity_id, before, after)], at=at)


async def record_many(scope: Scope, by: Actor, entries: Sequence[Entry], *, at: datetime) -> None:
    """Append entries in this order, in one statement; call inside `writing(scope)`."""
    if not entries:
        return
    changes = [_changes(entry.before, entry.after) for entry in entries]
    async with connections.get("default").acquire_connection() as connection:
        await connection.execute(
            _INSERT,
            scope.tenant_id,
            scope.environment_id,
            at,
            by.kind,
            by.id,
            by.request_id,
            joined(new_ids("aud", len(entries))),
            joined(entry.action for entry in entries),
            [entry.entity_id for entry in entries],
            joined(_json(old) for old, _ in changes),
            joined(_json(new) for _, new in changes),
        )


def facts(value: object) -> dict[str, Any] | None:
    """A row as JSON: decimals as plain strings, instants as ISO 8601."""
    if value is None:
        return None
    if is_record(value):
        value = fields_of(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"an audit entry tells of a row or a mapping, not of {value!r}")
    return {str(key): _fact(item) for key, item in value.items()}


def _changes(before: object, after: object) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    if before is None and isinstance(after, dict):
        return None, after  # as it is: `_json` writes what is in it
    old, new = facts(before), facts(after)
    if old is None or new is None:
        return old, new
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return (
        {key: old[key] for key in changed if key in old},
        {key: new[key] for key in changed if key in new},
    )


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value, default=_fact, option=_KEYS).decode()


def _fact(value: object) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _fact(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_fact(item) for item in value]
    if is_record(value):
        return facts(value)
    return str(value)
