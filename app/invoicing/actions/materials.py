"""All that a document of an invoice is made from, read in a few statements for many."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from app.customers import reads as customers
from app.customers.customer import Customer
from app.infra.s3 import Storage
from app.invoicing import parties, reads
from app.invoicing.actions.headings import Headings, headings_of, subscribers_of
from app.invoicing.applied import reads as applied_reads
from app.invoicing.applied.parts import Applied, InvoiceDiscount, InvoiceTax
from app.invoicing.invoice import Invoice, InvoiceLine, Party, Subscriber
from app.invoicing.pdf import Logo, Printing, Taken
from app.invoicing.terms.taxation import TaxTreatment
from app.kernel.copies import replace
from app.kernel.quantity import EXACT
from app.kernel.scope import Scope
from app.tenants.reads import environments, tenants
from app.tenants.settings import EnvironmentSettings, Layout


@dataclass(frozen=True, slots=True)
class Materials:
    """An invoice, its lines by position, what is printed besides, and what was applied to it."""

    invoice: Invoice
    lines: list[InvoiceLine]
    printing: Printing
    applied: Applied


async def gather(
    scope: Scope, invoices: Collection[Invoice], storage: Storage, *, layout: Layout | None = None
) -> list[Materials]:
    """Of each invoice, as it was issued; else as it would be if it were issued now.

    `layout` takes the place of the invoice's own. Raises: NotFound (a logo is gone), Unavailable.
    """
    ids = [invoice.id for invoice in invoices]
    lines = await reads.lines_of_invoices(scope, ids)
    applied = await applied_reads.of_invoices(scope, ids)
    present = await _present(scope, invoices)
    found = []
    for invoice in invoices:
        printing = _printing(invoice, present)
        look = printing.presentation
        if layout is not None:
            look = replace(look, layout=layout)
        logo = None if look.logo is None else await logo_of(look.logo, storage)
        found.append(
            Materials(
                invoice,
                lines.get(invoice.id, []),
                replace(
                    printing,
                    presentation=look,
                    logo=logo,
                    discounts=[_discount(each) for each in applied[invoice.id].discounts],
                    taxes=[_tax(each) for each in applied[invoice.id].taxes],
                    legends=invoice.tax_notes,
                ),
                applied[invoice.id],
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Present:
    seller: Party
    buyers: Mapping[str, Customer]
    settings: EnvironmentSettings
    headings: Headings
    subscribers: Mapping[str, Mapping[str, Subscriber]]


async def _present(scope: Scope, invoices: Collection[Invoice]) -> _Present | None:
    """Who the invoices would be from and to now; None where all of them say so themselves."""
    open_ = [invoice for invoice in invoices if invoice.presentation is None]
    if not open_:
        return None
    settings = await environments.settings(scope)
    seller = parties.seller(await tenants.get(scope), settings)
    buyers = await customers.by_ids(scope, {invoice.customer_id for invoice in open_})
    headings = await headings_of(scope, open_, settings.documents.sections)
    return _Present(seller, buyers, settings, headings, await subscribers_of(scope, open_))


def _printing(invoice: Invoice, present: _Present | None) -> Printing:
    seller, bill_to, look = invoice.seller, invoice.bill_to, invoice.presentation
    if seller is None or bill_to is None or look is None:
        if present is None:
            raise LookupError(f"nobody knows who invoice {invoice.id} is from")
        customer = present.buyers[invoice.customer_id]
        seller, bill_to = present.seller, parties.buyer(customer)
        look = parties.presentation(customer, present.settings)
        look = replace(
            look,
            headings=present.headings.get(invoice.id, {}),
            subscribers=present.subscribers[invoice.id],
        )
    return Printing(seller, bill_to, look)


def _discount(row: InvoiceDiscount) -> Taken:
    percent = row.coupon.get("percent_off")
    return Taken(row.description, row.amount, EXACT.create_decimal(percent) if percent else None)


def _tax(row: InvoiceTax) -> Taken:
    return Taken(
        row.description, row.amount, row.percent, on=row.taxable, spared=_SPARED[row.treatment]
    )


_SPARED = {
    TaxTreatment.STANDARD: "",
    TaxTreatment.EXEMPT: "exempt",
    TaxTreatment.REVERSE_CHARGE: "reverse charge",
}


async def logo_of(key: str, storage: Storage) -> Logo:
    """Raises: NotFound, Unavailable."""
    known = _LOGOS.get(key)
    if known is None:
        known = Logo(list(await storage.get(key)), key.rpartition(".")[2])
        if len(_LOGOS) >= _MOST_LOGOS:
            _LOGOS.clear()
        _LOGOS[key] = known
    return known


# By key, which names the content, so that what is here is never stale.
_LOGOS: dict[str, Logo] = {}
_MOST_LOGOS = 64
