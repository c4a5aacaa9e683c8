"""Making one invoice of a payer's drafts, inside the transaction that issues it."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import asyncpg

from app.customers import reads as customers
from app.infra import outbox
from app.invoicing import reads
from app.invoicing.actions.reckoning import stored
from app.invoicing.actions.saving import add_as_is, clear_parts
from app.invoicing.consolidating import folded, held, together
from app.invoicing.events import InvoiceConsolidated, InvoiceVoided
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.reads import Waiting
from app.invoicing.records import computed_values, insert, invoice_values, update
from app.invoicing.terms import tax_reads
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit
from app.tenants.reads import environments


async def zones_of_payers(scope: Scope, customer_ids: Collection[str]) -> dict[str, str]:
    """The time zones of those customers who want one invoice of what falls due together, by their
    ids: as they say, else as the environment says."""
    wanted = (await environments.settings(scope)).invoice.consolidate
    return await customers.zones_of_consolidating(scope, customer_ids, unless_said=wanted)


async def with_siblings(
    scope: Scope, drafts: Iterable[Waiting], *, at: datetime
) -> tuple[list[Waiting], list[list[str]]]:
    """Drafts that are due, with everything else that is due of payers who want one invoice of it;
    and the ids in parts that are to be issued in one transaction."""
    found = {draft.id: draft for draft in drafts}
    zones = await zones_of_payers(scope, {draft.customer_id for draft in found.values()})
    if zones:
        found |= {draft.id: draft for draft in await reads.drafts_due(scope, zones, at)}
    parts: dict[str, list[str]] = {}
    for key, draft in found.items():
        owner = draft.customer_id if draft.customer_id in zones else key
        parts.setdefault(owner, []).append(key)
    return list(found.values()), list(parts.values())


async def fold(
    connection: asyncpg.Connection,
    scope: Scope,
    drafts: Sequence[Invoice],
    *,
    by: Actor,
    at: datetime,
) -> list[Invoice]:
    """Drafts, which are locked, with one in place of those that become one. Call inside
    `writing(scope)`. What comes to nothing is left as it is, and what has a tax of its own."""
    payers = {draft.customer_id for draft in drafts} if len(drafts) > 1 else ()
    zones = await zones_of_payers(scope, payers) if payers else {}
    asking = [draft for draft in drafts if not draft.totals.is_nothing]
    parts = together(asking, zones, apart=await _taxed(scope, asking, zones))
    if not parts:
        return list(drafts)
    members = [draft for part in parts for draft in part]
    known = {each.invoice.id: each for each in await stored(scope, members)}
    made = [folded([known[draft.id] for draft in part], at=at) for part in parts]
    await clear_parts(connection, scope, [draft.id for draft in members])
    await add_as_is(connection, scope, made, by=by, at=at)
    left = [
        held(draft, whole.invoice.id, at=at)
        for part, whole in zip(parts, made, strict=True)
        for draft in part
    ]
    await hold(connection, scope, left, by=by, at=at)
    gone = {draft.id for draft in members}
    return [each for each in drafts if each.id not in gone] + [each.invoice for each in made]


async def hold(
    connection: asyncpg.Connection,
    scope: Scope,
    members: Sequence[Invoice],
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Let drafts without lines hold the places of their periods for the invoices that have them."""
    values = [
        {
            "id": each.id,
            **computed_values(each),
            "status": each.status,
            "consolidated_into_id": each.consolidated_into_id,
            "updated_at": at,
        }
        for each in members
    ]
    await update(connection, "invoices", values)
    entries = [
        audit.Entry(
            "invoice.consolidate",
            each.id,
            after={"status": each.status, "consolidated_into_id": each.consolidated_into_id},
        )
        for each in members
    ]
    await audit.record_many(scope, by, entries, at=at)
    told = (
        InvoiceConsolidated.of(each, at, into_id=each.consolidated_into_id or "")
        for each in members
    )
    await outbox.put_many(scope, list(told))


async def _taxed(scope: Scope, drafts: Sequence[Invoice], zones: Collection[str]) -> set[str]:
    """Which of the drafts and their subscriptions taxes are associated with."""
    owners = {
        owner
        for draft in drafts
        if draft.customer_id in zones
        for owner in (draft.id, *draft.owners)
    }
    if not owners:
        return set()
    found = await tax_reads.associations_of(scope, owners)
    return {each.owner_id for each in found if each.owner_id is not None}


async def release(
    connection: asyncpg.Connection,
    scope: Scope,
    whole: Invoice,
    reason: str,
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Void what holds the places of periods for an invoice that is void."""
    if not whole.subscription_ids:
        return
    members = (await reads.consolidated_into(scope, [whole.id])).get(whole.id, [])
    members = [each for each in members if each.status is InvoiceStatus.CONSOLIDATED]
    values = {
        "status": InvoiceStatus.VOID, "voided_at": at, "void_reason": reason, "updated_at": at
    }  # fmt: skip
    await update(connection, "invoices", [{"id": each.id, **values} for each in members])
    entries = [
        audit.Entry("invoice.void", each.id, before={"status": each.status}, after=values)
        for each in members
    ]
    await audit.record_many(scope, by, entries, at=at)
    await outbox.put_many(scope, [InvoiceVoided.of(each, at, number=None) for each in members])


async def hold_again(
    connection: asyncpg.Connection,
    scope: Scope,
    whole: Invoice,
    members: Sequence[Invoice],
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Let new invoices hold, for the one that takes a consolidated invoice's place, what the
    `members`, which are void, held for that."""
    fresh = [
        replace(
            each,
            id=new_id("inv"),
            status=InvoiceStatus.DRAFT,
            finalize_at=None,
            voided_at=None,
            void_reason=None,
            replaces_id=each.id,
            created_at=at,
        )
        for each in members
    ]
    await insert(connection, "invoices", [invoice_values(scope, each) for each in fresh])
    await hold(connection, scope, [held(each, whole.id, at=at) for each in fresh], by=by, at=at)
    await update(
        connection,
        "invoices",
        [{"id": each.replaces_id, "replaced_by_id": each.id, "updated_at": at} for each in fresh],
    )
