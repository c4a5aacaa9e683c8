"""The verbs that named things of the catalogue share: create, update, archive, restore.

Each is one transaction with its audit entry and its event. What a thing has of its own, such
as the checks of its fields, stays with it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from tortoise.exceptions import IntegrityError

from app.catalog.actions.locks import Table, lock
from app.catalog.errors import Archived, NotArchived
from app.infra import outbox
from app.infra.postgres import writing
from app.infra.tables import ScopedTable
from app.kernel.errors import AlreadyExists
from app.kernel.events import Event
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit


class Named(Protocol):
    """A row that is in use until it is archived."""

    @property
    def id(self) -> str: ...

    @property
    def archived_at(self) -> datetime | None: ...


T = TypeVar("T", bound=Named)


@dataclass(frozen=True, slots=True)
class Noun(Generic[T]):
    """A kind of named thing.

    `name` is what messages and audit entries call it, `prefix` that of its ids. `key` is the
    column of the name that programs use, which is unique among what is not archived.
    """

    name: str
    prefix: str
    lock: Table
    table: type[ScopedTable]
    get: Callable[[Scope, str], Awaitable[T]]
    created: type[Event]
    updated: type[Event]
    archived: type[Event]
    restored: type[Event]
    key: str = "lookup_key"

    def taken(self, value: Any) -> AlreadyExists:
        head, *rest = self.key.split("_")
        return AlreadyExists(self.name, head + "".join(part.title() for part in rest), value)


async def create(
    noun: Noun[T], scope: Scope, values: Mapping[str, Any], *, by: Actor, at: datetime
) -> T:
    """Add a row with these columns, which have been checked. Raises: AlreadyExists."""
    entity_id = new_id(noun.prefix)
    try:
        async with writing(scope):
            await noun.table.create(
                id=entity_id,
                tenant_id=scope.tenant_id,
                environment_id=scope.environment_id,
                created_at=at,
                updated_at=at,
                **values,
            )
            return await _told(noun, scope, entity_id, "create", by=by, at=at)
    except IntegrityError as error:
        raise noun.taken(values[noun.key]) from error


async def update(
    noun: Noun[T],
    scope: Scope,
    entity_id: str,
    values: Mapping[str, Any],
    *,
    by: Actor,
    at: datetime,
) -> T:
    """Write these columns, which have been checked. Raises: NotFound, Archived."""
    async with writing(scope) as connection:
        await lock(connection, scope, noun.lock, entity_id)
        before = await noun.get(scope, entity_id)
        if before.archived_at is not None:
            raise Archived(noun.name, entity_id)
        await noun.table.filter(id=entity_id).update(**values, updated_at=at)
        return await _told(noun, scope, entity_id, "update", by=by, at=at, before=before)


async def archive(noun: Noun[T], scope: Scope, entity_id: str, *, by: Actor, at: datetime) -> T:
    """Take the thing out of use; its key becomes free. Raises: NotFound, Archived."""
    async with writing(scope) as connection:
        await lock(connection, scope, noun.lock, entity_id)
        before = await noun.get(scope, entity_id)
        if before.archived_at is not None:
            raise Archived(noun.name, entity_id)
        await noun.table.filter(id=entity_id).update(archived_at=at, updated_at=at)
        return await _told(noun, scope, entity_id, "archive", by=by, at=at, before=before)


async def restore(noun: Noun[T], scope: Scope, entity_id: str, *, by: Actor, at: datetime) -> T:
    """Put an archived thing back. Raises: NotFound, NotArchived, AlreadyExists."""
    try:
        async with writing(scope) as connection:
            await lock(connection, scope, noun.lock, entity_id)
            before = await noun.get(scope, entity_id)
            if before.archived_at is None:
                raise NotArchived(noun.name, entity_id)
            await noun.table.filter(id=entity_id).update(archived_at=None, updated_at=at)
            return await _told(noun, scope, entity_id, "restore", by=by, at=at, before=before)
    except IntegrityError as error:
        raise noun.taken(getattr(before, noun.key)) from error


async def _told(
    noun: Noun[T],
    scope: Scope,
    entity_id: str,
    verb: str,
    *,
    by: Actor,
    at: datetime,
    before: T | None = None,
) -> T:
    """The row as it is now, with what was done to it in the audit log and in the outbox."""
    after = await noun.get(scope, entity_id)
    action = f"{noun.name.replace(' ', '_')}.{verb}"
    await audit.record(scope, by, action, entity_id, at=at, before=before, after=after)
    event = {
        "create": noun.created,
        "update": noun.updated,
        "archive": noun.archived,
        "restore": noun.restored,
    }[verb]
    await outbox.put(scope, event(entity_id=entity_id, occurred_at=at))
    return after
