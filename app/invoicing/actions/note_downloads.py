"""Credit notes as files: to hand out at once, or to link to for a while."""

from enum import StrEnum

from app.infra.s3 import Storage
from app.invoicing import credit_reads, reads
from app.invoicing.actions.downloads import File
from app.invoicing.actions.materials import logo_of
from app.invoicing.actions.printing import MEDIA_TYPES, named, store, suffix
from app.invoicing.applied import reads as applied_reads
from app.invoicing.credit_note import CreditNote, CreditNoteStatus
from app.invoicing.files.json import note_json_of
from app.invoicing.files.ubl import note_ubl_of
from app.invoicing.invoice import Invoice
from app.invoicing.pdf import credit_note_document, render
from app.kernel.scope import Scope
from app.tenants.settings import Layout


class NoteFileKind(StrEnum):
    PDF = "pdf"
    JSON = "json"
    UBL = "ubl"


async def download_note(
    scope: Scope,
    credit_note_id: str,
    kind: NoteFileKind,
    storage: Storage,
    *,
    layout: Layout | None = None,
) -> File:
    """A file of any credit note, void ones too; a UBL is made of those in force.

    Raises: NotFound, Unavailable, Unprintable, EInvoiceUnsupported.
    """
    note = await credit_reads.get(scope, credit_note_id)
    body = await _body(scope, note, kind, storage, layout=layout)
    return File(f"{named(note.number)}.{suffix(kind.value)}", MEDIA_TYPES[kind.value], body)


async def link_note(
    scope: Scope,
    note: CreditNote,
    kind: NoteFileKind,
    storage: Storage,
    *,
    layout: Layout | None = None,
) -> str | None:
    """A link to the file that anyone can open for a while; None unless the note is in force.

    Raises: NotFound, Unavailable, Unprintable, EInvoiceUnsupported.
    """
    if note.status is CreditNoteStatus.VOID:
        return None
    body = await _body(scope, note, kind, storage, layout=layout)
    key = await store(scope, note.id, body, storage, kind=kind.value)
    return await storage.presign(key, filename=f"{named(note.number)}.{suffix(kind.value)}")


async def _body(
    scope: Scope, note: CreditNote, kind: NoteFileKind, storage: Storage, *, layout: Layout | None
) -> bytes:
    lines = (await credit_reads.lines_of_notes(scope, [note.id]))[note.id]
    invoice = await reads.get(scope, note.invoice_id)
    number = invoice.number or invoice.id
    if kind is NoteFileKind.JSON:
        account = await credit_reads.applications_of_notes(scope, [note.id])
        return note_json_of(note, lines, account.get(note.id, []), invoice_number=number)
    if kind is NoteFileKind.UBL:
        of = (await reads.lines_of_invoices(scope, [invoice.id])).get(invoice.id, [])
        applied = (await applied_reads.of_invoices(scope, [invoice.id]))[invoice.id]
        return note_ubl_of(note, lines, invoice, of, applied=applied)
    key = note.presentation.logo
    logo = None if key is None else await logo_of(key, storage)
    headings, subscriber = await _whose(scope, note, invoice)
    return await render(
        credit_note_document(
            note,
            lines,
            invoice_number=number,
            logo=logo,
            layout=layout,
            headings=headings,
            subscriber=subscriber,
        )
    )


async def _whose(
    scope: Scope, note: CreditNote, invoice: Invoice
) -> tuple[dict[str, str], str | None]:
    """What lines of a consolidated invoice stood under there, by their ids; and whose subscription
    all of the note is of, where somebody else was billed."""
    look = invoice.presentation or note.presentation
    alone = look.subscribers.get(note.subscription_id or "")
    whose = None if alone is None else alone.name
    if not invoice.subscription_ids:
        return {}, whose
    of = (await reads.lines_of_invoices(scope, [invoice.id])).get(invoice.id, [])
    headings = {line.id: look.heading(line) or "" for line in of}
    return headings, whose
