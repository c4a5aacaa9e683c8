"""Queries. Every one takes the scope first and finds nothing outside it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from app.catalog.entitlement import Entitlement, OwnerKind
from app.catalog.reads import entitlements, prices
from app.customers import reads as customers
from app.customers.reads import Parent
from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, the
from app.kernel.scope import Scope
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.change import SubscriptionChange
from app.subscriptions.entitlements import Entitled
from app.subscriptions.entitlements import entitled as put_together
from app.subscriptions.holding import Holding
from app.subscriptions.pause import Pause
from app.subscriptions.periods import is_due
from app.subscriptions.records import (
    LINE_ITEM,
    change_of,
    holding_of,
    line_item_of,
    pause_of,
    subscription_of,
)
from app.subscriptions.subscription import (
    OVER,
    LineItem,
    Subscription,
    SubscriptionStatus,
)

LISTING = Listing(
    table="subscriptions",
    columns=(
        Column("id", "id", sortable=True),
        Column("customer_id", "id"),
        Column("plan_id", "id"),
        Column("plan_version_id", "id"),
        Column("status", "enum"),
        Column("currency", "string"),
        Column("alignment", "enum"),
        Column("cadence_unit", "enum"),
        Column("starts_at", "datetime", sortable=True),
        Column("ends_at", "datetime", sortable=True, nullable=True),
        Column("trial_ends_at", "datetime", sortable=True, nullable=True),
        Column("cancel_requested_at", "datetime", nullable=True),
        Column("cancel_reason", "enum", nullable=True),
        Column("collection_method", "enum"),
        Column("parent_pays", "boolean", nullable=True),
        Column("purchase_order", "string", nullable=True),
        Column("auto_invoice_threshold", "decimal", nullable=True),
        Column(
            "committed",
            "boolean",
            sql="jsonb_path_exists(commitments, '$[*] ? (@.ends_at == null)')",
        ),
        Column("billed_until", "datetime", nullable=True),
        Column("current_period_start", "datetime", sortable=True),
        Column("current_period_end", "datetime", sortable=True),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("purchase_order",),
)
PAUSES = Listing(
    table="subscription_pauses",
    columns=(
        Column("id", "id", sortable=True),
        Column("subscription_id", "id"),
        Column("behaviour", "enum"),
        Column("starts_at", "datetime", sortable=True),
        Column("ends_at", "datetime", sortable=True, nullable=True),
        Column("canceled_at", "datetime", nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("starts_at", descending=True),),
)
CHANGES = Listing(
    table="subscription_changes",
    columns=(
        Column("id", "id", sortable=True),
        Column("subscription_id", "id"),
        Column("customer_id", "id"),
        Column("kind", "enum"),
        Column("status", "enum"),
        Column("proration", "enum"),
        Column("direction", "enum", nullable=True),
        Column("failure_code", "string", nullable=True),
        Column("effective_at", "datetime", sortable=True),
        Column("applied_at", "datetime", sortable=True, nullable=True),
        Column("canceled_at", "datetime", nullable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("effective_at", descending=True),),
)


async def page(scope: Scope, request: PageRequest) -> Page[Subscription]:
    return (await listing.page(scope, LISTING, request)).map(subscription_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Subscription]:
    """The subscriptions with these ids; absent ids are absent from the result."""
    rows = await having(scope, "subscriptions", "id", ids)
    return {row["id"]: subscription_of(row) for row in rows}


async def pages_of_customers(
    scope: Scope, customer_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Subscription]]:
    """The page of each customer's subscriptions, over or not; every customer is a key."""
    found = await listing.pages_of(
        scope, LISTING, request, column="customer_id", parents=customer_ids
    )
    return {customer_id: rows.map(subscription_of) for customer_id, rows in found.items()}


async def pages_of_plan_versions(
    scope: Scope, version_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Subscription]]:
    """The page of each plan version's subscriptions, over or not; every version is a key."""
    found = await listing.pages_of(
        scope, LISTING, request, column="plan_version_id", parents=version_ids
    )
    return {version_id: rows.map(subscription_of) for version_id, rows in found.items()}


async def counts_of_plan_versions(scope: Scope, version_ids: Collection[str]) -> dict[str, int]:
    """How many subscriptions on each plan version are not over; every version is a key."""
    rows = await fetch(
        scope,
        "SELECT plan_version_id, count(*) AS running FROM subscriptions WHERE tenant_id = $1 "
        "AND environment_id = $2 AND plan_version_id = ANY($3) AND status <> ALL($4) "
        "GROUP BY plan_version_id",
        scope.tenant_id,
        scope.environment_id,
        list(version_ids),
        [status.value for status in OVER],
    )
    found = dict.fromkeys(version_ids, 0)
    return found | {row["plan_version_id"]: int(row["running"]) for row in rows}


async def customers_of(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that subscriptions belong to, by theirs; absent ids are absent."""
    rows = await having(scope, "subscriptions", "id", ids, columns="id, customer_id")
    return {row["id"]: row["customer_id"] for row in rows}


async def get(scope: Scope, subscription_id: str) -> Subscription:
    """Raises: NotFound."""
    return the(await by_ids(scope, [subscription_id]), "subscription", subscription_id)


async def line_items(scope: Scope, subscription_ids: Collection[str]) -> dict[str, list[LineItem]]:
    """Each subscription's lines in the order they were bought; every subscription is a key."""
    rows = await having(
        scope,
        "subscription_line_items",
        "subscription_id",
        subscription_ids,
        also="ORDER BY id",
        columns=LINE_ITEM,
    )
    found: dict[str, list[LineItem]] = {key: [] for key in subscription_ids}
    for row in rows:
        found[row["subscription_id"]].append(line_item_of(row))
    return found


async def line_items_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, LineItem]:
    """The lines with these ids; absent ids are absent from the result."""
    rows = await having(scope, "subscription_line_items", "id", ids)
    return {row["id"]: line_item_of(row) for row in rows}


async def customers_of_line_items(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that line items belong to, by theirs; absent ids are absent."""
    lines = await line_items_by_ids(scope, ids)
    owners = await customers_of(scope, {line.subscription_id for line in lines.values()})
    return {id_: owners[line.subscription_id] for id_, line in lines.items()}


async def holdings(scope: Scope, subscription_ids: Collection[str]) -> dict[str, list[Holding]]:
    """What each subscription ever held, the oldest first; every subscription is a key."""
    rows = await having(
        scope, "subscription_holdings", "subscription_id", subscription_ids, also="ORDER BY id"
    )
    found: dict[str, list[Holding]] = {key: [] for key in subscription_ids}
    for row in rows:
        found[row["subscription_id"]].append(holding_of(row))
    return found


async def entitled(scope: Scope, subscriptions: Mapping[str, Subscription]) -> dict[str, Entitled]:
    """Everything that each subscription was ever given: two statements however many."""
    held = await holdings(scope, list(subscriptions))
    ids = {key for each in held.values() for one in each for key in one.entitlement_ids}
    rows = await entitlements.bought_or_own(scope, ids, list(subscriptions))
    bought = {row.id: row for row in rows if row.id in ids}
    own: dict[str, list[Entitlement]] = {key: [] for key in subscriptions}
    for row in rows:
        if row.owner.kind is OwnerKind.SUBSCRIPTION:
            own[row.owner.id].append(row)
    return {
        key: put_together(subscription, held[key], bought, own[key])
        for key, subscription in subscriptions.items()
    }


async def entitled_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Entitled]:
    """The same by the subscriptions' ids; absent ids are absent from the result."""
    return await entitled(scope, await by_ids(scope, ids))


async def billable(scope: Scope, ids: Collection[str]) -> list[BillableSubscription]:
    """The subscriptions by id, with their lines and prices and what they are given: six
    statements however many."""
    subscriptions = await by_ids(scope, ids)
    given = await entitled(scope, subscriptions)
    lines = await line_items(scope, list(subscriptions))
    price_ids = {line.price_id for held in lines.values() for line in held}
    priced = await prices.by_ids(scope, price_ids)
    payers = await payers_of(scope, subscriptions.values())
    return [
        BillableSubscription(
            subscription,
            tuple((line, priced[line.price_id]) for line in lines[subscription.id]),
            given[subscription.id],
            payers[subscription.id],
        )
        for _, subscription in sorted(subscriptions.items())
    ]


async def payers_of(scope: Scope, subscriptions: Iterable[Subscription]) -> dict[str, str]:
    """Whom invoices are addressed to from now on, by the subscriptions' ids: their customers, or
    the parents of these."""
    listed = list(subscriptions)
    parents = await customers.parents_of(scope, {each.customer_id for each in listed})
    return {each.id: _payer(each, parents) for each in listed}


async def payers_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The same by the subscriptions' ids; absent ids are absent."""
    return await payers_of(scope, (await by_ids(scope, ids)).values())


def _payer(subscription: Subscription, parents: Mapping[str, Parent]) -> str:
    parent = parents.get(subscription.customer_id)
    if parent is None:
        return subscription.customer_id
    said = subscription.terms.parent_pays
    return parent.id if (parent.pays if said is None else said) else subscription.customer_id


async def held_by_others(
    scope: Scope, paid: Collection[tuple[str, str]]
) -> dict[str, tuple[str, str, str]]:
    """Whose the subscriptions are that somebody else pays for: id, name and external id of the
    customer, by the subscriptions' ids. `paid` are ids of subscriptions, each with that of one who
    pays for it; several may, one after the other."""
    held = await customers_of(scope, {key for key, _ in paid})
    others = {key: held[key] for key, payer in paid if held.get(key, payer) != payer}
    found = await customers.by_ids(scope, set(others.values())) if others else {}
    return {
        key: (found[id_].id, found[id_].name, found[id_].external_id) for key, id_ in others.items()
    }


async def due_for_billing(
    scope: Scope, ids: Collection[str], at: datetime
) -> list[BillableSubscription]:
    """Those of the subscriptions that have something to bill at `at`; see `billable`."""
    found = await billable(scope, ids)
    return [each for each in found if is_due(each.subscription, at)]


async def pauses_page(scope: Scope, request: PageRequest) -> Page[Pause]:
    return (await listing.page(scope, PAUSES, request)).map(pause_of)


async def pauses_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Pause]:
    """The pauses with these ids; absent ids are absent from the result."""
    rows = await having(scope, "subscription_pauses", "id", ids)
    return {row["id"]: pause_of(row) for row in rows}


async def pages_of_pauses(
    scope: Scope, subscription_ids: Collection[str], request: PageRequest
) -> dict[str, Page[Pause]]:
    """The page of each subscription's pauses, taken back or not; every subscription is a key."""
    found = await listing.pages_of(
        scope, PAUSES, request, column="subscription_id", parents=subscription_ids
    )
    return {key: rows.map(pause_of) for key, rows in found.items()}


async def changes_page(scope: Scope, request: PageRequest) -> Page[SubscriptionChange]:
    return (await listing.page(scope, CHANGES, request)).map(change_of)


async def changes_by_ids(scope: Scope, ids: Collection[str]) -> dict[str, SubscriptionChange]:
    """The changes with these ids; absent ids are absent from the result."""
    rows = await having(scope, "subscription_changes", "id", ids)
    return {row["id"]: change_of(row) for row in rows}


async def pages_of_changes(
    scope: Scope, subscription_ids: Collection[str], request: PageRequest
) -> dict[str, Page[SubscriptionChange]]:
    """The page of each subscription's changes, whatever became of them; every subscription is a
    key."""
    found = await listing.pages_of(
        scope, CHANGES, request, column="subscription_id", parents=subscription_ids
    )
    return {key: rows.map(change_of) for key, rows in found.items()}


async def scheduled_changes(
    scope: Scope, subscription_ids: Collection[str]
) -> dict[str, list[SubscriptionChange]]:
    """Each subscription's changes that are still to come, the next first; every subscription is
    a key."""
    rows = await having(
        scope,
        "subscription_changes",
        "subscription_id",
        subscription_ids,
        also="AND status = 'scheduled' ORDER BY effective_at, id",
    )
    found: dict[str, list[SubscriptionChange]] = {key: [] for key in subscription_ids}
    for row in rows:
        found[row["subscription_id"]].append(change_of(row))
    return found


async def phases(
    scope: Scope, subscription_ids: Collection[str]
) -> dict[str, list[SubscriptionChange]]:
    """The changes that each subscription's phases began with, or are to, the first one first;
    every subscription is a key."""
    rows = await having(
        scope,
        "subscription_changes",
        "subscription_id",
        subscription_ids,
        also="AND kind = 'phase' AND status IN ('applied', 'scheduled') ORDER BY effective_at, id",
    )
    found: dict[str, list[SubscriptionChange]] = {key: [] for key in subscription_ids}
    for row in rows:
        found[row["subscription_id"]].append(change_of(row))
    return found


async def count_by_status(scope: Scope) -> dict[SubscriptionStatus, int]:
    """How many subscriptions there are of each status; every status is a key."""
    rows = await fetch(
        scope,
        "SELECT status, count(*) AS subscriptions FROM subscriptions "
        "WHERE tenant_id = $1 AND environment_id = $2 GROUP BY status",
        scope.tenant_id,
        scope.environment_id,
    )
    found = {row["status"]: row["subscriptions"] for row in rows}
    return {status: int(found.get(status.value, 0)) for status in SubscriptionStatus}
