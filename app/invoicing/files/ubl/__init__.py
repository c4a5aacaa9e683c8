"""Invoices and credit notes as UBL 2.1 after EN 16931, for programs of whoever receives them.

An electronic invoice knows one category of VAT per line, no fixed taxes and at most two
decimals. What cannot be told truly is refused (`EInvoiceUnsupported`), never approximated.
Sources: OASIS UBL 2.1; EN 16931-1:2017 (BT and BR numbers); CEN/TS 16931-3-2, its syntax in UBL.
"""

from app.invoicing.files.ubl.credit_notes import note_ubl_of
from app.invoicing.files.ubl.invoices import ubl_of

__all__ = ["note_ubl_of", "ubl_of"]
