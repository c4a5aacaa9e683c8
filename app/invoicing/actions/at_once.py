"""Drafting and issuing in one go, where there is nothing to wait for in between."""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg

from app.infra.crash import point
from app.invoicing.actions import credit_balances, issuing
from app.invoicing.actions.consolidating import zones_of_payers
from app.invoicing.actions.issuing import Issuer
from app.invoicing.actions.saving import add_as_is, announce, insert_parts, unbilled
from app.invoicing.corrected import corrected
from app.invoicing.drafts import Drafted
from app.invoicing.in_force import reckoned
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.records import insert, issued_values
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope


async def save_at_once(
    connection: asyncpg.Connection,
    scope: Scope,
    drafts: Sequence[Drafted],
    issuer: Issuer,
    *,
    by: Actor,
    at: datetime,
) -> list[Drafted]:
    """`save`, of drafts that wait for no late events: they are written as issued.

    Drafts of payers who want one invoice of several are added as such, and what comes to nothing
    is. Raises: NumberTaken.
    """
    fresh = await unbilled(connection, scope, drafts)
    fresh = await corrected(scope, fresh, lock=True)
    fresh = await reckoned(scope, fresh, at=at, lock=True)
    waiting = await zones_of_payers(scope, {each.invoice.customer_id for each in fresh})
    ready = [each for each in fresh if _is_ready(each, waiting, issuer)]
    issued = await _add_issued(connection, scope, ready, issuer, by=by, at=at)
    gone = {each.invoice.id for each in issued}
    rest = [each for each in fresh if each.invoice.id not in gone]
    return issued + await add_as_is(connection, scope, rest, by=by, at=at)


def _is_ready(drafted: Drafted, waiting: Collection[str], issuer: Issuer) -> bool:
    invoice = drafted.invoice
    is_draft = invoice.status is InvoiceStatus.DRAFT
    return is_draft and invoice.customer_id not in waiting and issuer.asks_for(invoice)


async def _add_issued(
    connection: asyncpg.Connection,
    scope: Scope,
    drafts: Sequence[Drafted],
    issuer: Issuer,
    *,
    by: Actor,
    at: datetime,
) -> list[Drafted]:
    """The lines go first: once an invoice is there as issued, nothing can be added to it, and it
    has to add up."""
    if not drafts:
        return []
    by_id = {each.invoice.id: each for each in drafts}
    lines = {key: each.lines for key, each in by_id.items()}
    await insert_parts(connection, scope, drafts, at=at)
    await announce(scope, drafts, by=by, at=at)
    invoices = [each.invoice for each in drafts]
    dressed = await issuing.dress(connection, scope, invoices, issuer, at=at, lines=lines)
    await issuing.to_be_printed(scope, dressed.invoices)
    issued = await issuing.numbered(connection, scope, dressed, issuer)
    with issuing.numbers_free(issued):
        await insert(connection, "invoices", [issued_values(scope, each) for each in issued])
    await issuing.announce(scope, issued, by=by)
    await credit_balances.pay(connection, scope, dressed.taken)
    point("invoicing.finalized")
    return [replace(by_id[each.id], invoice=each) for each in issued]
