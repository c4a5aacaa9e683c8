from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tortoise.exceptions import IntegrityError

from app.infra.postgres import writing
from app.kernel.checks import Checks, checked
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import passwords
from app.tenants.actions import grants, inputs, locks, revoking
from app.tenants.actions.journal import note
from app.tenants.commands import CreateUser, InviteUser
from app.tenants.errors import Archived, NotArchived
from app.tenants.events import (
    UserArchived,
    UserCreated,
    UserInvited,
    UserRestored,
    UserUpdated,
)
from app.tenants.models import UserTable
from app.tenants.reads import users
from app.tenants.tenant import whole
from app.tenants.tokens import digest, random_text
from app.tenants.user import PrincipalStatus, User

INVITATION_LASTS = timedelta(days=7)
_CHECKS: Checks = {"name": inputs.name, "email": inputs.email}


@dataclass(frozen=True, slots=True)
class Invitation:
    """`token` lets whoever has it set the user's password, once; it is shown here only."""

    user: User
    token: str = field(repr=False)
    expires_at: datetime


async def create(
    scope: Scope, command: CreateUser, *, holding: frozenset[str], by: Actor, at: datetime
) -> User:
    """A user who can sign in at once. Raises: Invalid, BeyondOwnPermissions, AlreadyExists."""
    hashed = await passwords.hashed(passwords.checked(command.password))
    values = {"password_hash": hashed}
    return await _add(scope, command, values, UserCreated, holding=holding, by=by, at=at)


async def invite(
    scope: Scope, command: InviteUser, *, holding: frozenset[str], by: Actor, at: datetime
) -> Invitation:
    """A user who signs in after setting a password with the invitation's token.

    Raises: Invalid, BeyondOwnPermissions, AlreadyExists.
    """
    token, expires_at = f"ti_{random_text()}", at + INVITATION_LASTS
    values = {"invitation_hash": digest(token), "invitation_expires_at": expires_at}
    user = await _add(scope, command, values, UserInvited, holding=holding, by=by, at=at)
    return Invitation(user, token, expires_at)


async def invite_again(
    scope: Scope, user_id: str, *, holding: frozenset[str], by: Actor, at: datetime
) -> Invitation:
    """A fresh token, for an invitation that was lost or a password that was forgotten.

    The token before it stops working; a password set before works until the token is used.
    Raises: NotFound, Archived, BeyondOwnPermissions.
    """
    scope = whole(scope.tenant_id)
    token, expires_at = f"ti_{random_text()}", at + INVITATION_LASTS
    async with writing(scope):
        user = await _in_use(scope, user_id, holding)
        await UserTable.filter(id=user_id).update(
            invitation_hash=digest(token), invitation_expires_at=expires_at, updated_at=at
        )
        event = UserInvited(entity_id=user_id, occurred_at=at)
        await note(scope, by, "user.invite_again", event, at=at, after={"expiresAt": expires_at})
        user = await users.get(scope, user_id)
    return Invitation(user, token, expires_at)


async def update(
    scope: Scope,
    user_id: str,
    patch: Mapping[str, Any],
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> User:
    """Change the name or the e-mail address.

    Raises: Invalid, NotFound, Archived, BeyondOwnPermissions, AlreadyExists.
    """
    values, scope = checked(patch, _CHECKS), whole(scope.tenant_id)
    try:
        async with writing(scope):
            before = await _in_use(scope, user_id, holding)
            await UserTable.filter(id=user_id).update(**values, updated_at=at)
            after = await users.get(scope, user_id)
            event = UserUpdated(entity_id=user_id, occurred_at=at)
            await note(scope, by, "user.update", event, at=at, before=before, after=after)
    except IntegrityError as error:
        raise AlreadyExists("user", "email", values["email"]) from error
    return after


async def archive(
    scope: Scope, user_id: str, *, holding: frozenset[str], by: Actor, at: datetime
) -> User:
    """Shut the user out: sessions and invitations end, the e-mail address becomes free.

    Raises: NotFound, Archived, BeyondOwnPermissions, LastOwner.
    """
    scope = whole(scope.tenant_id)
    async with writing(scope):
        await locks.tenant(scope)
        before = await _in_use(scope, user_id, holding)
        await grants.not_the_last_owner(scope, before)
        await UserTable.filter(id=user_id).update(
            archived_at=at, invitation_hash=None, invitation_expires_at=None, updated_at=at
        )
        await revoking.sessions_of(scope, user_id, "user_archived", at=at)
        after = await users.get(scope, user_id)
        event = UserArchived(entity_id=user_id, occurred_at=at)
        await note(scope, by, "user.archive", event, at=at, before=before, after=after)
    return after


async def restore(
    scope: Scope, user_id: str, *, holding: frozenset[str], by: Actor, at: datetime
) -> User:
    """Let the user in again, with the roles and the password from before.

    Raises: NotFound, NotArchived, BeyondOwnPermissions, AlreadyExists (the address was taken).
    """
    scope = whole(scope.tenant_id)
    try:
        async with writing(scope):
            await locks.tenant(scope)
            await locks.user(scope, user_id)
            before = await users.get(scope, user_id)
            if before.status is not PrincipalStatus.ARCHIVED:
                raise NotArchived("user", user_id)
            await grants.above(scope, before, holding)
            await UserTable.filter(id=user_id).update(archived_at=None, updated_at=at)
            after = await users.get(scope, user_id)
            event = UserRestored(entity_id=user_id, occurred_at=at)
            await note(scope, by, "user.restore", event, at=at, before=before, after=after)
    except IntegrityError as error:
        raise AlreadyExists("user", "email", before.email) from error
    return after


async def _add(
    scope: Scope,
    command: CreateUser | InviteUser,
    values: Mapping[str, Any],
    told: type[UserCreated] | type[UserInvited],
    *,
    holding: frozenset[str],
    by: Actor,
    at: datetime,
) -> User:
    email, name = inputs.email(command.email), inputs.name(command.name)
    scope, user_id = whole(scope.tenant_id), new_id("usr")
    try:
        async with writing(scope):
            await locks.tenant(scope)
            granted = await grants.checked(scope, command.roles, holding)
            await UserTable.create(
                id=user_id,
                tenant_id=scope.tenant_id,
                email=email,
                name=name,
                created_at=at,
                updated_at=at,
                **values,
            )
            await grants.store(scope, user_id, granted)
            user = await users.get(scope, user_id)
            event = told(entity_id=user_id, occurred_at=at)
            action = "user.create" if told is UserCreated else "user.invite"
            await note(scope, by, action, event, at=at, after=user)
    except IntegrityError as error:
        raise AlreadyExists("user", "email", email) from error
    return user


async def _in_use(scope: Scope, user_id: str, holding: frozenset[str]) -> User:
    """The user, locked, not archived, and holding no more than who acts."""
    await locks.user(scope, user_id)
    user = await users.get(scope, user_id)
    if user.status is PrincipalStatus.ARCHIVED:
        raise Archived("user", user_id)
    await grants.above(scope, user, holding)
    return user
