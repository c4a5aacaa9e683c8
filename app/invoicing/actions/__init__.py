"""What can be done with invoices: one function per verb, each one transaction."""

from app.invoicing.actions.branding import set_logo
from app.invoicing.actions.change_preview import (
    ChangePreview,
    preview_cancel,
    preview_change,
    preview_phases,
)
from app.invoicing.actions.changing import apply_due, change, credit_many
from app.invoicing.actions.computing import compute, compute_many
from app.invoicing.actions.consolidating import with_siblings
from app.invoicing.actions.correcting import correct
from app.invoicing.actions.correction_notes import Look
from app.invoicing.actions.correction_verbs import (
    accept_correction,
    dismiss_correction,
    look_again,
)
from app.invoicing.actions.creating import create
from app.invoicing.actions.credit_verbs import settle_refund, update_credit_note, void_credit_note
from app.invoicing.actions.crediting import credit, issue_credit_note
from app.invoicing.actions.downloads import File, FileKind, download, link
from app.invoicing.actions.drafting import Outcome, bill
from app.invoicing.actions.editing import edit
from app.invoicing.actions.finalizing import finalize, finalize_many
from app.invoicing.actions.migrating import migrate_many
from app.invoicing.actions.note_downloads import NoteFileKind, download_note, link_note
from app.invoicing.actions.previewing import NewSubscription, preview, preview_new
from app.invoicing.actions.printing import print_many
from app.invoicing.actions.reissuing import reissue
from app.invoicing.actions.replaying import replay
from app.invoicing.actions.settling import Settling, reverse_write_off, settle, write_off
from app.invoicing.actions.subscribing import subscribe
from app.invoicing.actions.thresholds import bill_thresholds
from app.invoicing.actions.voiding import void

__all__ = [
    "ChangePreview",
    "File",
    "FileKind",
    "Look",
    "NewSubscription",
    "NoteFileKind",
    "Outcome",
    "Settling",
    "accept_correction",
    "apply_due",
    "bill",
    "bill_thresholds",
    "change",
    "compute",
    "compute_many",
    "correct",
    "create",
    "credit",
    "credit_many",
    "dismiss_correction",
    "download",
    "download_note",
    "edit",
    "finalize",
    "finalize_many",
    "issue_credit_note",
    "link",
    "link_note",
    "look_again",
    "migrate_many",
    "preview",
    "preview_cancel",
    "preview_change",
    "preview_new",
    "preview_phases",
    "print_many",
    "reissue",
    "replay",
    "reverse_write_off",
    "set_logo",
    "settle",
    "settle_refund",
    "subscribe",
    "update_credit_note",
    "void",
    "void_credit_note",
    "with_siblings",
    "write_off",
]
