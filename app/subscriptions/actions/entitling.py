"""Entitlements of plans, addons and subscriptions: those of a subscription change only while it
runs, and not for time that is billed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from app.catalog.actions import entitlements
from app.catalog.entitlement import CreateEntitlement, Entitlement, OwnerKind
from app.catalog.reads import entitlements as reads
from app.infra.postgres import writing
from app.infra.rows import the
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.rows import lock
from app.subscriptions.errors import SubscriptionIsOver
from app.subscriptions.reads import by_ids
from app.subscriptions.subscription import OVER


async def create(
    scope: Scope, command: CreateEntitlement, *, by: Actor, at: datetime
) -> Entitlement:
    """Raises: Invalid, NotFound (owner, feature), Archived, AlreadyExists, SubscriptionIsOver."""
    async with _changeable(
        scope, command.subscription_id, at=at, field="subscriptionId"
    ) as earliest:
        return await entitlements.create(scope, command, by=by, at=at, earliest=earliest)


async def update(
    scope: Scope, entitlement_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Entitlement:
    """See the catalogue's. Raises also: SubscriptionIsOver."""
    owner = await _subscription(scope, entitlement_id)
    async with _changeable(scope, owner, at=at) as earliest:
        return await entitlements.update(
            scope, entitlement_id, patch, by=by, at=at, earliest=earliest
        )


async def archive(
    scope: Scope,
    entitlement_id: str,
    *,
    by: Actor,
    at: datetime,
    effective_until: datetime | None = None,
) -> Entitlement:
    """See the catalogue's. Raises also: SubscriptionIsOver."""
    owner = await _subscription(scope, entitlement_id)
    async with _changeable(scope, owner, at=at) as earliest:
        return await entitlements.archive(
            scope,
            entitlement_id,
            by=by,
            at=at,
            effective_until=effective_until,
            earliest=earliest,
        )


async def restore(scope: Scope, entitlement_id: str, *, by: Actor, at: datetime) -> Entitlement:
    """See the catalogue's. Raises also: SubscriptionIsOver."""
    owner = await _subscription(scope, entitlement_id)
    async with _changeable(scope, owner, at=at):
        return await entitlements.restore(scope, entitlement_id, by=by, at=at)


async def _subscription(scope: Scope, entitlement_id: str) -> str | None:
    """Whose own it is; None for those of plans and addons. Raises: NotFound."""
    owner = (await reads.get(scope, entitlement_id)).owner
    return owner.id if owner.kind is OwnerKind.SUBSCRIPTION else None


@asynccontextmanager
async def _changeable(
    scope: Scope, subscription_id: str | None, *, at: datetime, field: str = "id"
) -> AsyncIterator[datetime]:
    """A transaction that holds the subscription, if it is one's own; from when on entitlements
    may change. Raises: NotFound, SubscriptionIsOver."""
    async with writing(scope) as connection:
        if subscription_id is None:
            yield at
            return
        await lock(connection, scope, [subscription_id])
        found = await by_ids(scope, [subscription_id])
        subscription = the(found, "subscription", subscription_id, field=field)
        ended = subscription.ends_at is not None and subscription.ends_at <= at
        if subscription.status in OVER or ended:
            raise SubscriptionIsOver(subscription.id, subscription.status.value, field=field)
        yield min(at, subscription.billed_until or subscription.starts_at)
