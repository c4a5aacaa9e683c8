"""From an invoice to the bytes of its PDF."""

from app.invoicing.pdf.compiler import Unprintable, can_print, render
from app.invoicing.pdf.credit_note import credit_note_document
from app.invoicing.pdf.document import Document, Logo, Printing, Taken, document

__all__ = [
    "Document",
    "Logo",
    "Printing",
    "Taken",
    "Unprintable",
    "can_print",
    "credit_note_document",
    "document",
    "render",
]
