"""From an invoice to the bytes of its PDF."""

from app.invoicing.pdf.compiler import Unprintable, render
from app.invoicing.pdf.document import Document, document

__all__ = ["Document", "Unprintable", "document", "render"]
