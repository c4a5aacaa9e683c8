"""What a new version of a plan gets from an older one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.catalog.actions import price_rows
from app.catalog.events import PriceCreated
from app.catalog.models import PriceTable
from app.catalog.plan_version import PlanVersion
from app.catalog.price import Price, facts
from app.catalog.reads import prices
from app.infra import outbox
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
