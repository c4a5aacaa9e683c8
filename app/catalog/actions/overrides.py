"""Prices of a subscription's own: checked like those of the catalogue, ended, and moved along."""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg

from app.catalog.actions.copies import add_prices
from app.catalog.actions.price_features import (
    Measured,
    lock_features,
    measured,
    named_by,
    with_measures,
)
from app.catalog.actions.price_terms import check_terms, hash_of
from app.catalog.events import PriceArchived
from app.catalog.models import PriceTable
from app.catalog.price import Price, facts
from app.catalog.price_override import PriceOverride, instead
from app.catalog.reads import prices as reads
from app.infra import outbox
from app.infra.postgres import writing
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.tenants import audit

_END = (
    "UPDATE prices SET effective_until = greatest($4, effective_from), updated_at = $5 "
    "WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3)"
)


async def made(
    connection: asyncpg.Connection,
    scope: Scope,
    price: Price,
    terms: PriceOverride,
    *,
    subscription_id: str,
    starts_at: datetime,
    at: datetime,
) -> Price:
    """The subscription's own price instead of this one, not stored yet.

    Call inside `writing(scope)`. Raises: Invalid, NotFound, Archived (a feature, a meter).
    """
    draft = instead(price, terms, subscription_id=subscription_id, starts_at=starts_at, at=at)
    await lock_features(connection, scope, draft)
    return _checked(draft, await measured(scope, named_by(draft.feature_id, draft.model)))


def made_of(
    price: Price,
    terms: PriceOverride,
    known: Measured,
    *,
    subscription_id: str,
    starts_at: datetime,
    at: datetime,
) -> Price:
    """The same by what is `known`, where nothing is to be stored. Pure. Raises: as `made`."""
    draft = instead(price, terms, subscription_id=subscription_id, starts_at=starts_at, at=at)
    return _checked(draft, known)


def _checked(draft: Price, known: Measured) -> Price:
    draft, found = with_measures(draft, known)
    check_terms(draft, found)
    return replace(draft, content_hash=hash_of(draft))


async def add(scope: Scope, own: Sequence[Price], *, by: Actor, at: datetime) -> None:
    """Store prices that were `made`. Call inside `writing(scope)`."""
    if own:
        await add_prices(scope, own, by=by, at=at)


async def end(
    scope: Scope, ids: Collection[str], *, ends_at: datetime, by: Actor, at: datetime
) -> None:
    """Let a subscription's own prices end, never before they began. Call inside
    `writing(scope)`."""
    if not ids:
        return
    before = await reads.by_ids(scope, ids)
    async with writing(scope) as connection:
        await connection.execute(
            _END, scope.tenant_id, scope.environment_id, list(before), ends_at, at
        )
    after = await reads.by_ids(scope, ids)
    entries = [
        audit.Entry("price.archive", key, before=facts(before[key]), after=facts(price))
        for key, price in after.items()
    ]
    await audit.record_many(scope, by, entries, at=at)
    await outbox.put_many(scope, [PriceArchived.of(price, at) for price in after.values()])


async def move(scope: Scope, subscription_id: str, starts_at: datetime, *, at: datetime) -> None:
    """Let the own prices of a subscription that has not begun be in force from another instant."""
    await PriceTable.filter(
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        subscription_id=subscription_id,
        effective_until=None,
    ).update(effective_from=starts_at, updated_at=at)
