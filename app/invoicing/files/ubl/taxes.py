"""The one category of VAT that the taxes of an invoice come to. Pure."""

from collections.abc import Sequence

from app.invoicing.amounts.totals import NOTHING
from app.invoicing.applied.parts import InvoiceTax
from app.invoicing.errors import EInvoiceUnsupported
from app.invoicing.files.ubl.document import Tax
from app.invoicing.terms.taxation import TaxTreatment
from app.kernel.quantity import plain

_OUTSIDE = Tax("O", None, "Not subject to VAT", "VATEX-EU-O")


def tax_of(taxes: Sequence[InvoiceTax], legends: Sequence[str]) -> Tax:
    """`legends` are what the invoice says of those that are not asked for.

    Every rate of an invoice is taken on all of its lines, so that what holds for the invoice
    holds for each. Raises: EInvoiceUnsupported.
    """
    treatments = {each.treatment for each in taxes}
    if not taxes:
        return _of_none(legends)
    if treatments == {TaxTreatment.EXEMPT}:
        return Tax("E", NOTHING, " ".join(legends) or "Exempt from tax")
    if treatments == {TaxTreatment.REVERSE_CHARGE}:
        reason = " ".join(legends) or "Reverse charge"
        return Tax("AE", NOTHING, reason, "VATEX-EU-AE")
    if len(taxes) > 1:
        raise EInvoiceUnsupported(
            f"its lines bear {len(taxes)} taxes ({_named(taxes)}), and a line of EN 16931 bears "
            "one; associate a single percentage with the customer",
            field="taxes",
        )
    (tax,) = taxes
    if tax.percent is None:
        raise EInvoiceUnsupported(
            f"{tax.description} is a fixed amount, and EN 16931 knows percentages alone; ask for "
            "it as a line instead",
            field="taxes",
        )
    return Tax("S" if tax.percent else "Z", tax.percent, included=tax.included)


def _of_none(legends: Sequence[str]) -> Tax:
    if legends:
        raise EInvoiceUnsupported(
            f"it says {' '.join(legends)!r} and names no tax that this is about; associate the "
            "tax rate that the customer is spared",
            field="taxes",
        )
    return _OUTSIDE


def _named(taxes: Sequence[InvoiceTax]) -> str:
    return ", ".join(
        each.description if each.percent is None else f"{each.description} {plain(each.percent)} %"
        for each in taxes
    )
