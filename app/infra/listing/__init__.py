"""Keyset pages over one table: filters and orders compiled to SQL with parameters only.

A domain declares which columns a caller may name; nothing a caller sends becomes SQL text.
Pages are cut by the values of the order's keys, so rows written meanwhile neither repeat nor
hide others, and page 10,000 costs what page 1 does.
"""

from app.infra.listing.columns import Column, Listing
from app.infra.listing.pages import first, page, pages_of
from app.kernel.listing import And, Condition, Not, Or, Order, Page, PageRequest, Where, both

__all__ = [
    "And",
    "Column",
    "Condition",
    "Listing",
    "Not",
    "Or",
    "Order",
    "Page",
    "PageRequest",
    "Where",
    "both",
    "first",
    "page",
    "pages_of",
]
