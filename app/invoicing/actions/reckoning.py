"""Working out again what lies between the lines of drafts and the amount due."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from app.infra import outbox
from app.invoicing import correction_reads, reads
from app.invoicing.actions.saving import replace_parts
from app.invoicing.applied import reads as applied_reads
from app.invoicing.drafts import Drafted
from app.invoicing.events import InvoiceComputed
from app.invoicing.in_force import in_force
from app.invoicing.invoice import Invoice
from app.invoicing.reckoning import reckon_all
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def reckon_again(
    connection: asyncpg.Connection,
    scope: Scope,
    drafts: Sequence[Invoice],
    *,
    by: Actor,
    at: datetime,
) -> list[Invoice]:
    """Drafts, which are locked, by what is in force now; their lines stay as they are.

    What changes is written, audited and told. Reads no lines where nothing is in force and
    nothing was.
    """
    if not drafts:
        return []
    found = await in_force(scope, drafts, at=at, lock=True)
    if found.nothing and not any(_touched(draft) for draft in drafts):
        return list(drafts)
    before = await stored(scope, drafts)
    after = reckon_all(before, found)
    changed = [
        (was, now)
        for was, now in zip(before, after, strict=True)
        if _substance(was) != _substance(now)
    ]
    await replace_parts(connection, scope, [now for _, now in changed], at=at)
    entries = [
        audit.Entry(
            "invoice.compute", now.invoice.id, before=was.invoice.totals, after=now.invoice.totals
        )
        for was, now in changed
    ]
    await audit.record_many(scope, by, entries, at=at)
    await outbox.put_many(scope, [InvoiceComputed.of(now.invoice, at) for _, now in changed])
    return [now.invoice for now in after]


async def stored(scope: Scope, invoices: Collection[Invoice]) -> list[Drafted]:
    """The invoices with everything that belongs to them, as they are stored."""
    ids = [invoice.id for invoice in invoices]
    lines = await reads.lines_of_invoices(scope, ids)
    applied = await applied_reads.of_invoices(scope, ids)
    corrections = await correction_reads.applied_to_invoices(scope, ids)
    return [
        Drafted(
            invoice,
            tuple(lines.get(invoice.id, ())),
            replace(applied[invoice.id], corrections=tuple(corrections.get(invoice.id, ()))),
        )
        for invoice in invoices
    ]


def _touched(draft: Invoice) -> bool:
    """Whether anything was applied to it, be it to no effect, such as a rate of 0 %; or it was
    never reckoned."""
    return "rules" not in draft.reckoning or "steps" in draft.reckoning or bool(draft.tax_notes)


def _substance(drafted: Drafted) -> Any:
    """What two reckonings have in common if nothing changed between them."""
    applied = drafted.applied
    return (
        drafted.invoice.totals,
        drafted.invoice.tax_notes,
        drafted.invoice.reckoning.get("rules"),
        [(line.discount, line.prepaid, line.tax, line.tax_included) for line in drafted.lines],
        [(each.attachment_id, each.amount, each.shares) for each in applied.discounts],
        [(each.balance_id, each.amount, each.shares) for each in applied.prepaid],
        [
            (each.association_id, each.treatment, each.taxable, each.amount, each.shares)
            for each in applied.taxes
        ],
    )
