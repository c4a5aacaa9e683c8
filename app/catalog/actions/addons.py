"""What can be done with an addon: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.catalog.actions import named
from app.catalog.actions.inputs import CHANGEABLE, NAMED
from app.catalog.actions.named import Noun
from app.catalog.addon import Addon, CreateAddon
from app.catalog.events import AddonArchived, AddonCreated, AddonRestored, AddonUpdated
from app.catalog.models import AddonTable
from app.catalog.reads import addons as reads
from app.kernel.checks import Checks, checked
from app.kernel.copies import fields_of
from app.kernel.scope import Actor, Scope

ADDON = Noun(
    name="addon",
    prefix="addon",
    lock="addons",
    table=AddonTable,
    get=reads.get,
    created=AddonCreated,
    updated=AddonUpdated,
    archived=AddonArchived,
    restored=AddonRestored,
)


async def create(scope: Scope, command: CreateAddon, *, by: Actor, at: datetime) -> Addon:
    """Raises: Invalid, AlreadyExists (another addon has the lookup key)."""
    values = checked(fields_of(command), _CHECKS)
    return await named.create(ADDON, scope, values, by=by, at=at)


async def update(
    scope: Scope, addon_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Addon:
    """Change the fields that `patch` holds (`name`, `description`, `metadata`).

    An absent field stays as it is. Raises: Invalid, NotFound, Archived.
    """
    return await named.update(ADDON, scope, addon_id, checked(patch, CHANGEABLE), by=by, at=at)


async def archive(scope: Scope, addon_id: str, *, by: Actor, at: datetime) -> Addon:
    """Nobody can buy it any more, and it takes no prices; who has it keeps it.

    Its lookup key becomes free. Raises: NotFound, Archived.
    """
    return await named.archive(ADDON, scope, addon_id, by=by, at=at)


async def restore(scope: Scope, addon_id: str, *, by: Actor, at: datetime) -> Addon:
    """Put an archived addon back. Raises: NotFound, NotArchived, AlreadyExists."""
    return await named.restore(ADDON, scope, addon_id, by=by, at=at)


_CHECKS: Checks = {**NAMED, "type": lambda v: v.value}
