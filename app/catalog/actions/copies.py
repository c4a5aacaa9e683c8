"""What a new version of a plan gets from an older one."""

from collections.abc import Sequence
from datetime import datetime

from app.catalog.actions import entitlement_rows, price_rows
from app.catalog.entitlement import Entitlement, Owner, OwnerKind
from app.catalog.entitlement import facts as entitlement_facts
from app.catalog.events import EntitlementCreated, PriceCreated
from app.catalog.models import EntitlementTable, PriceTable
from app.catalog.plan_version import PlanVersion
from app.catalog.price import Price, facts
from app.catalog.reads import entitlements, prices
from app.infra import outbox
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def copy_contents(
    scope: Scope, source: PlanVersion, target: PlanVersion, *, by: Actor, at: datetime
) -> None:
    """Give `target` everything that a subscription on `source` would get, now or later.

    The one place that says what the contents of a version are. Call inside `writing(scope)`.
    """
    sold = (await prices.all_of_versions(scope, [source.id]))[source.id]
    await add_prices(scope, copied(sold, target, at=at), by=by, at=at)
    given = (await entitlements.all_of(OwnerKind.PLAN)(scope, [source.id]))[source.id]
    await add_entitlements(scope, given_again(given, target, at=at), by=by, at=at)


def copied(sold: Sequence[Price], target: PlanVersion, *, at: datetime) -> list[Price]:
    """The prices that have not ended by `at`, as prices of `target`. Pure.

    They keep their lineage and their ends, begin at `at` unless they begin later, and replace
    one another as the originals do.
    """
    standing = [price for price in sold if price.stands(at)]
    ids = {price.id: new_id("pri") for price in standing}
    return [
        replace(
            price,
            id=ids[price.id],
            plan_id=target.plan_id,
            plan_version_id=target.id,
            offered=target.current,
            replaces_id=ids.get(price.replaces_id or ""),
            effective_from=max(price.effective_from, at),
            created_at=at,
            updated_at=at,
        )
        for price in standing
    ]


def given_again(
    given: Sequence[Entitlement], target: PlanVersion, *, at: datetime
) -> list[Entitlement]:
    """The entitlements that have not ended by `at`, as entitlements of `target`. Pure.

    As of prices: they keep their ends, begin at `at` unless they begin later, and replace one
    another as the originals do.
    """
    standing = [each for each in given if each.overlaps(at, None)]
    ids = {each.id: new_id("ent") for each in standing}
    return [
        replace(
            each,
            id=ids[each.id],
            owner=Owner(OwnerKind.PLAN, target.plan_id, target.id),
            replaces_id=ids.get(each.replaces_id or ""),
            effective_from=max(each.effective_from, at),
            created_at=at,
            updated_at=at,
        )
        for each in standing
    ]


async def add_entitlements(
    scope: Scope, added: Sequence[Entitlement], *, by: Actor, at: datetime
) -> None:
    """Insert entitlements that are known to be right: four statements however many."""
    await EntitlementTable.bulk_create(
        EntitlementTable(
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            **entitlement_rows.columns(each),
        )
        for each in added
    )
    entries = [
        audit.Entry("entitlement.create", each.id, after=entitlement_facts(each)) for each in added
    ]
    await audit.record_many(scope, by, entries, at=at)
    events = [EntitlementCreated(**entitlement_rows.told(each), occurred_at=at) for each in added]
    await outbox.put_many(scope, events)


async def add_prices(scope: Scope, added: Sequence[Price], *, by: Actor, at: datetime) -> None:
    """Insert prices that are known to be right: four statements however many."""
    await PriceTable.bulk_create(
        PriceTable(
            tenant_id=scope.tenant_id,
            environment_id=scope.environment_id,
            **price_rows.columns(price),
        )
        for price in added
    )
    entries = [audit.Entry("price.create", price.id, after=facts(price)) for price in added]
    await audit.record_many(scope, by, entries, at=at)
    await outbox.put_many(scope, [PriceCreated.of(price, at) for price in added])
