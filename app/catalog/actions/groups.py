"""What can be done with a group: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from app.catalog.actions import named
from app.catalog.actions.inputs import CHANGEABLE, NAMED
from app.catalog.actions.locks import lock
from app.catalog.actions.named import Noun
from app.catalog.errors import Archived
from app.catalog.events import GroupArchived, GroupCreated, GroupRestored, GroupUpdated
from app.catalog.group import CreateGroup, Group, GroupKind, GroupStatus
from app.catalog.models import GroupTable
from app.catalog.reads import groups as reads
from app.kernel.checks import Checks, checked
from app.kernel.copies import fields_of
from app.kernel.errors import Invalid
from app.kernel.scope import Actor, Scope

GROUP = Noun(
    name="group",
    prefix="grp",
    lock="catalog_groups",
    table=GroupTable,
    get=reads.get,
    created=GroupCreated,
    updated=GroupUpdated,
    archived=GroupArchived,
    restored=GroupRestored,
)


async def create(scope: Scope, command: CreateGroup, *, by: Actor, at: datetime) -> Group:
    """Raises: Invalid, AlreadyExists (another group has the lookup key)."""
    values = checked(fields_of(command), _CHECKS)
    return await named.create(GROUP, scope, values, by=by, at=at)


async def update(
    scope: Scope, group_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Group:
    """Change the fields that `patch` holds (`name`, `description`, `metadata`).

    An absent field stays as it is. Raises: Invalid, NotFound, Archived.
    """
    return await named.update(GROUP, scope, group_id, checked(patch, CHANGEABLE), by=by, at=at)


async def archive(scope: Scope, group_id: str, *, by: Actor, at: datetime) -> Group:
    """Nothing new joins the group; what belongs to it stays. Its lookup key becomes free.

    Raises: NotFound, Archived.
    """
    return await named.archive(GROUP, scope, group_id, by=by, at=at)


async def restore(scope: Scope, group_id: str, *, by: Actor, at: datetime) -> Group:
    """Put an archived group back. Raises: NotFound, NotArchived, AlreadyExists."""
    return await named.restore(GROUP, scope, group_id, by=by, at=at)


async def check_joined(
    connection: asyncpg.Connection, scope: Scope, group_id: str | None, kind: GroupKind
) -> None:
    """That something of `kind` may join the group, which is locked against archiving.

    None joins none. Raises: NotFound, Archived, Invalid (WRONG_GROUP_KIND).
    """
    if group_id is None:
        return
    await lock(connection, scope, "catalog_groups", group_id, shared=True)
    group = await reads.get(scope, group_id, field="groupId")
    if group.status is GroupStatus.ARCHIVED:
        raise Archived("group", group_id, field="groupId")
    if group.kind is not kind:
        raise Invalid(
            f"groupId: {group.lookup_key} is a group of {group.kind.value}s; name one of "
            f"{kind.value}s",
            field="groupId",
            code="WRONG_GROUP_KIND",
        )


_CHECKS: Checks = {**NAMED, "kind": lambda v: v.value}
