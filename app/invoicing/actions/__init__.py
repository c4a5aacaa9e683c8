"""What can be done with invoices: one function per verb, each one transaction."""

from app.invoicing.actions.computing import compute, compute_many
from app.invoicing.actions.drafting import Outcome, bill
from app.invoicing.actions.finalizing import finalize, finalize_many
from app.invoicing.actions.previewing import preview
from app.invoicing.actions.printing import pdf, pdf_url, print_many
from app.invoicing.actions.voiding import void

__all__ = [
    "Outcome",
    "bill",
    "compute",
    "compute_many",
    "finalize",
    "finalize_many",
    "pdf",
    "pdf_url",
    "preview",
    "print_many",
    "void",
]
