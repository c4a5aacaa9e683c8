"""Keys of the scope's environment. A secret is shown by the action that makes it, and never
again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants.actions import inputs, locks
from app.tenants.actions.journal import note
from app.tenants.api_key import ApiKey, ApiKeyStatus, CreatedApiKey, NewSecret, new_secret
from app.tenants.commands import CreateApiKey
from app.tenants.errors import Archived, KeyExpired, KeyRevoked
from app.tenants.events import ApiKeyCreated, ApiKeyRevoked, ApiKeyRotated
from app.tenants.models import ApiKeyTable
from app.tenants.reads import api_keys, environments, service_accounts
from app.tenants.role import checked, within
from app.tenants.tenant import Environment, EnvironmentStatus
from app.tenants.user import PrincipalStatus

LONGEST_OVERLAP = timedelta(days=30)


async def create(
    scope: Scope, command: CreateApiKey, *, holding: frozenset[str], by: Actor, at: datetime
) -> CreatedApiKey:
    """A key of the scope's environment with the permissions named, whatever becomes of `by`.

    Raises: Invalid, NotFound (environment or service account), Archived, BeyondOwnPermissions.
    """
    permissions = checked(command.permissions)
    within(permissions, holding, "permissions")
    row = {
        "name": inputs.name(command.name),
        "permissions": list(permissions),
        "expires_at": _expiry(command.expires_at, at),
        "service_account_id": command.service_account_id,
    }
    async with writing(scope):
        environment = await _open_environment(scope)
        if command.service_account_id is not None:
            await _account_in_use(scope, command.service_account_id)
        secret = new_secret(environment.type)
        key = await _insert(scope, secret, row, by=by, at=at)
        event = ApiKeyCreated(entity_id=key.id, occurred_at=at)
        await note(scope, by, "api_key.create", event, at=at, after=key)
    return CreatedApiKey(key, secret)


async def rotate(
    scope: Scope,
    key_id: str,
    *,
    overlap: timedelta,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> CreatedApiKey:
    """A successor with the same name and permissions; the key itself works for `overlap` more.

    The successor lives as long as the key was given to live.
    Raises: Invalid, NotFound, KeyRevoked, KeyExpired, Archived, BeyondOwnPermissions.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise checks.invalid("overlapSeconds", f"from 0 to {LONGEST_OVERLAP.days * 86_400}")
    async with writing(scope):
        environment = await _open_environment(scope)
        before = await _in_use(scope, key_id, at)
        within(before.permissions, holding)
        if before.service_account_id is not None:
            await _account_in_use(scope, before.service_account_id)
        ends = at + overlap if before.expires_at is None else min(before.expires_at, at + overlap)
        await ApiKeyTable.filter(id=key_id).update(expires_at=ends, updated_at=at)
        lasts = None if before.expires_at is None else before.expires_at - before.created_at
        row = {
            "name": before.name,
            "permissions": list(before.permissions),
            "expires_at": None if lasts is None else at + lasts,
            "service_account_id": before.service_account_id,
            "rotated_from": key_id,
        }
        secret = new_secret(environment.type)
        key = await _insert(scope, secret, row, by=by, at=at)
        event = ApiKeyRotated(entity_id=key_id, occurred_at=at, successor_id=key.id)
        facts = {"expiresAt": ends, "successor": key.id, "successorPrefix": key.prefix}
        before_facts = {"expiresAt": before.expires_at}
        await note(scope, by, "api_key.rotate", event, at=at, before=before_facts, after=facts)
    return CreatedApiKey(key, secret)


async def revoke(scope: Scope, key_id: str, *, by: Actor, at: datetime) -> ApiKey:
    """End the key; every process refuses it within `auth.key_cache_seconds`.

    Raises: NotFound, KeyRevoked.
    """
    async with writing(scope):
        await locks.api_key(scope, key_id)
        before = await api_keys.get(scope, key_id)
        if before.revoked_at is not None:
            raise KeyRevoked(key_id)
        await ApiKeyTable.filter(id=key_id).update(revoked_at=at, updated_at=at)
        after = await api_keys.get(scope, key_id)
        event = ApiKeyRevoked(entity_id=key_id, occurred_at=at)
        await note(scope, by, "api_key.revoke", event, at=at, before=before, after=after)
    return after


async def _insert(
    scope: Scope, secret: NewSecret, row: Mapping[str, Any], *, by: Actor, at: datetime
) -> ApiKey:
    key_id = new_id("key")
    await ApiKeyTable.create(
        id=key_id,
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        prefix=secret.prefix,
        secret_hash=secret.hash,
        created_by=by.id,
        created_at=at,
        updated_at=at,
        **row,
    )
    return await api_keys.get(scope, key_id)


async def _open_environment(scope: Scope) -> Environment:
    await locks.environment(scope, scope.environment_id)
    environment = await environments.get(scope, scope.environment_id)
    if environment.status is EnvironmentStatus.ARCHIVED:
        raise Archived("environment", environment.id)
    return environment


async def _account_in_use(scope: Scope, account_id: str) -> None:
    await locks.service_account(scope, account_id)
    account = await service_accounts.get(scope, account_id, field="serviceAccountId")
    if account.status is PrincipalStatus.ARCHIVED:
        raise Archived("service account", account_id)


async def _in_use(scope: Scope, key_id: str, at: datetime) -> ApiKey:
    await locks.api_key(scope, key_id)
    key = await api_keys.get(scope, key_id)
    match key.status(at):
        case ApiKeyStatus.REVOKED:
            raise KeyRevoked(key_id)
        case ApiKeyStatus.EXPIRED:
            raise KeyExpired(key_id)
    return key


def _expiry(value: datetime | None, at: datetime) -> datetime | None:
    if value is not None and value <= at:
        raise checks.invalid("expiresAt", f"{value.isoformat()} has passed; give a later instant")
    return value
