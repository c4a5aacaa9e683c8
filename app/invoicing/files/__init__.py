"""Invoices as files for other programs. Pure: from rows to bytes."""
