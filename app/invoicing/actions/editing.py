"""Changing an invoice by hand: all of a draft but what follows from prices, little of others."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from app.infra import due, outbox
from app.infra.postgres import writing
from app.invoicing import manual, reads
from app.invoicing.actions import locks
from app.invoicing.actions.saving import rewrite
from app.invoicing.drafts import Drafted
from app.invoicing.errors import InvoiceNotDraft, LineIsComputed
from app.invoicing.events import InvoiceUpdated
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, LineKind
from app.invoicing.manual import Edits, ManualLine
from app.invoicing.records import update
from app.invoicing.work import PRINT
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.scope import Actor, Scope
from app.tenants import audit

# Notes may always be taken; when an invoice in force is due may be moved.
_ALWAYS = frozenset({"metadata"})
_IN_FORCE = _ALWAYS | {"due_at"}


async def edit(scope: Scope, invoice_id: str, edits: Edits, *, by: Actor, at: datetime) -> Invoice:
    """Make all of the changes or none.

    A draft takes every change; once its lines were edited it is not computed again by itself.
    An invoice in force takes another due date, and is printed anew.
    Raises: Invalid, NotFound, InvoiceNotDraft, LineIsComputed.
    """
    values = checks.checked(edits.fields, manual.FIELDS)
    async with writing(scope) as connection:
        before = await locks.invoice(connection, scope, invoice_id)
        _check_open(before, edits)
        changed = dict(values)
        if before.status is InvoiceStatus.FINALIZED and "due_at" in values:
            changed["due_at"] = _moved(before, values["due_at"])
            changed["pdf_key"] = None
            await due.schedule(scope, PRINT, due.Item(invoice_id, at, before.customer_id))
        if edits.touches_lines:
            changed |= await _edit_lines(connection, scope, before, edits, at=at)
        await update(connection, "invoices", [{"id": invoice_id, **changed, "updated_at": at}])
        after = await locks.invoice(connection, scope, invoice_id)
        await audit.record(
            scope, by, "invoice.update", invoice_id, at=at, before=before, after=after
        )
        await outbox.put(scope, InvoiceUpdated.of(after, at))
    return after


def _check_open(invoice: Invoice, edits: Edits) -> None:
    if invoice.status is InvoiceStatus.DRAFT:
        return
    allowed = _IN_FORCE if invoice.status is InvoiceStatus.FINALIZED else _ALWAYS
    if edits.touches_lines or edits.fields.keys() - allowed:
        raise InvoiceNotDraft(invoice.id, invoice.status)


def _moved(invoice: Invoice, due_at: datetime | None) -> datetime:
    issued = invoice.issued_at
    if due_at is None or issued is None or due_at < issued:
        raise Invalid(
            f"dueAt: an issued invoice is due at or after its issue, {issued}, not {due_at}",
            field="dueAt",
            code="INVALID_DUE_AT",
        )
    return due_at


async def _edit_lines(
    connection: asyncpg.Connection, scope: Scope, before: Invoice, edits: Edits, *, at: datetime
) -> dict[str, Any]:
    """Write the lines anew; the columns of the invoice that change with them."""
    found = (await reads.lines_of_invoices(scope, [before.id])).get(before.id, [])
    lines = edited(before, found, edits)
    invoice = replace(before, totals=manual.sums(lines, before.currency))
    await rewrite(connection, scope, [Drafted(invoice, tuple(lines))], at=at)
    return {"edited": True}


def edited(invoice: Invoice, lines: Sequence[InvoiceLine], edits: Edits) -> list[InvoiceLine]:
    """The lines after the edits, numbered anew: those that follow from prices, then the others.

    Raises: Invalid, NotFound, LineIsComputed.
    """
    by_id = {line.id: line for line in lines}
    for index, line_id in enumerate(edits.remove):
        _manual(by_id, line_id, f"removeLines[{index}]")
        del by_id[line_id]
    for index, (line_id, patch) in enumerate(edits.change):
        field = f"changeLines[{index}]"
        line = _manual(by_id, line_id, f"{field}.id")
        by_id[line_id] = replace(_changed(invoice, line, patch, field=field), id=line_id)
    kept = list(by_id.values())
    for index, new in enumerate(edits.add):
        field = f"addLines[{index}]"
        checked = manual.checked(new, field)
        kept.append(manual.written(checked, invoice, position=0, field=field))
    if sum(line.kind is LineKind.MANUAL for line in kept) > manual.MOST_LINES:
        raise checks.invalid("addLines", f"at most {manual.MOST_LINES} lines are written by hand")
    kept.sort(key=lambda line: line.kind is LineKind.MANUAL)
    return [replace(line, position=position) for position, line in enumerate(kept, start=1)]


def _changed(
    invoice: Invoice, line: InvoiceLine, patch: Mapping[str, Any], *, field: str
) -> InvoiceLine:
    for name in ("description", "unit_amount", "quantity"):
        if name in patch:
            checks.required(patch[name], f"{field}.{_camel(name)}")
    fresh: ManualLine = manual.checked(replace(manual.told(line), **patch), field)
    return manual.written(fresh, invoice, position=0, field=field)


def _manual(lines: Mapping[str, InvoiceLine], line_id: str, field: str) -> InvoiceLine:
    if line_id not in lines:
        raise NotFound("invoice line", line_id, field=field)
    if lines[line_id].kind is not LineKind.MANUAL:
        raise LineIsComputed(line_id, field)
    return lines[line_id]


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
