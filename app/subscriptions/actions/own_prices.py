"""Prices of a subscription's own, instead of those of the catalogue that it buys."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.catalog.actions import overrides
from app.catalog.actions.price_features import Measured, measured, named_by
from app.catalog.price import Billing, Price
from app.catalog.price_override import PriceOverride, terms_between
from app.catalog.reads import prices
from app.kernel.checks import located
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.scope import Actor, Scope
from app.subscriptions import buying, committing, reads
from app.subscriptions.change import ChangePlan, ChangePrice
from app.subscriptions.changes.lines import Priced, of_plan
from app.subscriptions.errors import LineIsChargedOnce, NothingChanges
from app.subscriptions.subscription import Override, Subscription
from app.tenants import audit

_PRICE = (
    "UPDATE subscription_line_items AS l SET price_id = v.price_id, price_hash = v.hash, "
    "updated_at = $3 FROM unnest($4::text[], $5::text[], $6::text[]) AS v(id, price_id, hash) "
    "WHERE l.tenant_id = $1 AND l.environment_id = $2 AND l.id = ANY($4) "
    "AND l.id = v.id"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What own prices are made of, where many are made at once and none is stored: prices of the
    catalogue by their ids, and what they measure."""

    originals: Mapping[str, Price]
    measured: Measured


async def known_of(
    scope: Scope, own: Iterable[Price], offered: Iterable[Price], wanted: Sequence[Override]
) -> Known:
    """For subscriptions that have the prices `own`, or none, and go over to those `offered`, in
    three statements at most."""
    mine = [price for price in own if price.overrides_id is not None]
    ids = {price.catalogue_id for price in mine}
    originals = await prices.by_ids(scope, ids) if ids else {}
    named: set[str] = set()
    if mine or wanted:
        for price in (*mine, *offered):
            named |= named_by(price.feature_id, price.model)
        for each in wanted:
            named |= named_by(None, each.terms.model)
    return Known(originals, await measured(scope, named))


async def _made(
    connection: asyncpg.Connection,
    scope: Scope,
    price: Price,
    terms: PriceOverride,
    *,
    known: Known | None,
    subscription_id: str,
    starts_at: datetime,
    at: datetime,
) -> Price:
    if known is None:
        return await overrides.made(
            connection,
            scope,
            price,
            terms,
            subscription_id=subscription_id,
            starts_at=starts_at,
            at=at,
        )
    return overrides.made_of(
        price, terms, known.measured, subscription_id=subscription_id, starts_at=starts_at, at=at
    )


async def of_bought(
    connection: asyncpg.Connection,
    scope: Scope,
    bought: Sequence[Price],
    wanted: Sequence[Override],
    *,
    subscription_id: str,
    starts_at: datetime,
    at: datetime,
    known: Known | None = None,
) -> dict[str, Price]:
    """The subscription's own, not stored yet, by the ids of those that they are instead of.

    Raises: Invalid, NotFound, Archived (a feature, a meter), NothingChanges.
    """
    buying.check_overrides(bought, wanted)
    by_id = {price.id: price for price in bought}
    found = {}
    for index, each in enumerate(wanted):
        if not each.terms:
            continue
        price, field = by_id[each.price_id], f"overrides[{index}]"
        with located(field):
            own = await _made(
                connection,
                scope,
                price,
                each.terms,
                known=known,
                subscription_id=subscription_id,
                starts_at=starts_at,
                at=at,
            )
        if own.content_hash == price.content_hash:
            raise NothingChanges(f"price {price.id} is so", field)
        found[price.id] = own
    return found


async def of_plan_change(
    connection: asyncpg.Connection,
    scope: Scope,
    subscription: Subscription,
    command: ChangePlan,
    *,
    lines: Sequence[Priced],
    offered: Sequence[Price],
    at: datetime,
    known: Known | None = None,
) -> dict[str, Price]:
    """Those that a change of plan asks for, and where it keeps them, those of the plan before in
    prices of the same lineage. Raises: as `of_bought`."""
    mine, wanted = subscription.id, command.overrides
    found = await of_bought(
        connection, scope, offered, wanted, subscription_id=mine, starts_at=at, at=at, known=known
    )
    if not command.keeps_overrides:
        return found
    named = {each.price_id for each in command.overrides if each.terms}
    heirs = {price.lineage_id: price for price in offered}
    own = [price for _, price in of_plan(lines, at) if price.overrides_id is not None]
    if not own:
        return found
    if known is None:
        originals: Mapping[str, Price] = await prices.by_ids(scope, {p.catalogue_id for p in own})
    else:
        originals = known.originals
    for price in own:
        heir = heirs.get(price.lineage_id)
        if heir is None or heir.id in named:
            continue
        terms = terms_between(price, originals[price.catalogue_id])
        kept = await _made(
            connection, scope, heir, terms, known=known, subscription_id=mine, starts_at=at, at=at
        )
        if kept.content_hash != heir.content_hash:
            found[heir.id] = replace(kept, replaces_id=price.id)
    return found


async def of_line(
    connection: asyncpg.Connection,
    scope: Scope,
    current: Priced,
    command: ChangePrice,
    *,
    at: datetime,
) -> Price:
    """What a line is to be charged by from `at` on: a price of the subscription's own, not stored
    yet, or the one of the catalogue. Raises: Invalid, NotFound, Archived, LineIsChargedOnce,
    NothingChanges."""
    line, price = current
    if price.billing is Billing.ONE_TIME:
        raise LineIsChargedOnce(line.id)
    original = await prices.get(scope, price.catalogue_id)
    if command.terms is None:
        if price.overrides_id is None:
            raise NothingChanges(f"{line.id} is charged by the catalogue's price", "lineItemId")
        return original
    if not command.terms:
        if command.quantity is None:
            raise Invalid(
                "model: say what is other than in the price: its model or its adjustments",
                field="model",
                code="REQUIRED",
            )
        return price
    own = await overrides.made(
        connection,
        scope,
        price,
        command.terms,
        subscription_id=line.subscription_id,
        starts_at=at,
        at=at,
    )
    return original if own.content_hash == original.content_hash else own


async def of_draft(
    connection: asyncpg.Connection,
    scope: Scope,
    draft: Subscription,
    wanted: Sequence[Override],
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Let a draft be sold at these prices of its own, and at no others.

    Raises: as `of_bought`; Invalid, where a commitment does not go with a price.
    """
    lines = (await reads.line_items(scope, [draft.id]))[draft.id]
    before = await prices.by_ids(scope, {line.price_id for line in lines})
    catalogue = await prices.by_ids(scope, {price.catalogue_id for price in before.values()})
    made = await of_bought(
        connection,
        scope,
        list(catalogue.values()),
        wanted,
        subscription_id=draft.id,
        starts_at=draft.starts_at,
        at=at,
    )
    sold: dict[str, Price] = {}
    for line in lines:
        price = before[line.price_id]
        sold[line.id] = _instead_of(price, made.get(price.catalogue_id), catalogue)
    committing.checked(
        [each.terms for each in draft.commitments], list(sold.values()), draft.cadence
    )
    own = [price for price in sold.values() if price.overrides_id and price.id not in before]
    gone = {price.id for price in before.values() if price.overrides_id}
    gone -= {price.id for price in sold.values()}
    await overrides.end(scope, gone, ends_at=at, by=by, at=at)
    await overrides.add(scope, own, by=by, at=at)
    columns = [(key, price.id, price.content_hash) for key, price in sold.items()]
    ids, price_ids, hashes = (list(column) for column in zip(*columns, strict=True))
    await connection.execute(
        _PRICE, scope.tenant_id, scope.environment_id, at, ids, price_ids, hashes
    )
    await audit.record(
        scope,
        by,
        "subscription.update_prices",
        draft.id,
        at=at,
        before={line.id: line.price_id for line in lines},
        after={key: price.id for key, price in sold.items()},
    )


def _instead_of(price: Price, own: Price | None, catalogue: Mapping[str, Price]) -> Price:
    """What a line of a draft that had `price` is sold at."""
    chosen = catalogue[price.catalogue_id] if own is None else own
    if chosen.content_hash == price.content_hash:
        return price
    if own is not None and price.overrides_id is not None:
        return replace(own, replaces_id=price.id)
    return chosen


async def store(
    scope: Scope,
    lines: Sequence[Priced],
    closed: Sequence[Priced],
    opened: Sequence[Priced],
    *,
    ends_at: datetime,
    by: Actor,
    at: datetime,
) -> None:
    """Store the own prices of lines that begin, and end those of lines that end."""
    known = {price.id for _, price in lines}
    begun = {price.id: price for _, price in opened if price.overrides_id is not None}
    gone = {price.id for _, price in closed if price.overrides_id is not None} - begun.keys()
    await overrides.end(scope, gone, ends_at=ends_at, by=by, at=at)
    await overrides.add(scope, [p for p in begun.values() if p.id not in known], by=by, at=at)
