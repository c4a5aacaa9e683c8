from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.catalog.entitlement import Owner
from app.catalog.reads import entitlements
from app.infra.postgres import writing
from app.kernel.copies import fields_of
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from app.subscriptions.holding import Holding
from app.subscriptions.models import HoldingTable
from app.subscriptions.subscription import Subscription


async def hold(
    scope: Scope,
    subscription: Subscription,
    owner: Owner,
    *,
    at: datetime,
    reference: datetime,
    quantity: Decimal = Decimal(1),
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    holding_id: str | None = None,
    before: Holding | None = None,
) -> Holding:
    """Give a subscription a plan or an addon, with the entitlements of it in force at `reference`.

    One that takes over from `before` gives what that one gave. Call in the transaction that
    sells it, which holds the plan or the addon.
    """
    async with writing(scope):
        if before is None:
            found = await entitlements.of_owner(scope, owner, at=reference)
            given = tuple(each.id for each in found)
        else:
            given = before.entitlement_ids
        holding = begun(
            subscription,
            owner,
            given,
            at=at,
            quantity=quantity,
            starts_at=starts_at,
            ends_at=ends_at,
            holding_id=holding_id,
            before=before,
        )
        await add(scope, [holding])
    return holding


def begun(
    subscription: Subscription,
    owner: Owner,
    given: Iterable[str],
    *,
    at: datetime,
    quantity: Decimal,
    starts_at: datetime | None,
    ends_at: datetime | None,
    holding_id: str | None = None,
    before: Holding | None = None,
) -> Holding:
    """What begins to be held, with the ids of the entitlements `given` with it. Pure."""
    holding_id = holding_id or new_id("hold")
    return Holding(
        id=holding_id,
        subscription_id=subscription.id,
        owner=owner,
        quantity=quantity,
        entitlement_ids=tuple(given),
        starts_at=starts_at,
        ends_at=ends_at,
        created_at=at,
        updated_at=at,
        key=holding_id if before is None else before.key,
    )


async def add(scope: Scope, holdings: Iterable[Holding]) -> None:
    """Store them in one statement. Call inside `writing(scope)`."""
    await HoldingTable.bulk_create(HoldingTable(**_row(scope, each)) for each in holdings)


def _row(scope: Scope, holding: Holding) -> dict[str, Any]:
    owner = holding.owner
    row = fields_of(holding)
    del row["owner"]
    return row | {
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        f"{owner.kind.value}_id": owner.id,
        "plan_version_id": owner.version_id,
        "entitlement_ids": list(holding.entitlement_ids),
    }


async def let_go(
    scope: Scope, holdings: Collection[Holding], *, at: datetime, ends_at: datetime
) -> None:
    """Hold these until `ends_at` only. Call inside `writing(scope)`."""
    await HoldingTable.filter(
        tenant_id=scope.tenant_id,
        environment_id=scope.environment_id,
        id__in=[holding.id for holding in holdings],
    ).update(ends_at=ends_at, updated_at=at)
