"""From a reckoning to the rows that an invoice keeps of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from fractions import Fraction

from app.catalog.coupon import Coupon
from app.catalog.tax_rate import TaxRate
from app.invoicing.amounts import DiscountTaken, Drawn, Reckoned, TaxTaken
from app.invoicing.amounts.sheet import Whole
from app.invoicing.applied.parts import (
    Applied,
    CreditTaken,
    InvoiceDiscount,
    InvoicePrepaid,
    InvoiceTax,
    Shares,
    described,
)
from app.invoicing.invoice import Invoice
from app.invoicing.terms.attachment import CouponAttachment
from app.invoicing.terms.taxation import TaxAssociation, TaxExemption, TaxTreatment
from app.kernel.ids import new_id
from app.kernel.quantity import fraction_rounded

_COUPON = (
    "id", "code", "name", "kind", "percent_off", "amount_off", "currency", "duration", "periods",
    "level", "limits",
)  # fmt: skip
_RATE = (
    "id", "code", "name", "kind", "percent", "amount", "currency", "inclusive", "compound",
)  # fmt: skip


def applied_of(
    invoice: Invoice,
    found: Reckoned,
    *,
    coupons: Sequence[tuple[CouponAttachment, Coupon]],
    taxes: Sequence[tuple[TaxAssociation, TaxRate]],
    exempt: Mapping[str, TaxExemption],
) -> Applied:
    """The rows, each kind in the order in which it was applied."""
    by_attachment = {held[0].id: held for held in coupons}
    by_association = {association.id: rate for association, rate in taxes}
    return Applied(
        discounts=tuple(
            _discount(
                invoice, found, taken, held=by_attachment[taken.discount.id], position=position
            )
            for position, taken in enumerate(found.discounts, start=1)
        ),
        prepaid=tuple(
            _prepaid(invoice, found, drawn, position)
            for position, drawn in enumerate(found.prepaid, start=1)
        ),
        taxes=tuple(
            _tax(
                invoice,
                found,
                taken,
                (by_association[taken.rate.id], exempt.get(taken.rate.id)),
                position=position,
            )
            for position, taken in enumerate(found.taxes, start=1)
        ),
        credits=tuple(
            CreditTaken(each.balance.id, found.sheet.major(each.amount)) for each in found.credits
        ),
    )


def _discount(
    invoice: Invoice,
    found: Reckoned,
    taken: DiscountTaken,
    *,
    held: tuple[CouponAttachment, Coupon],
    position: int,
) -> InvoiceDiscount:
    attachment, coupon = held
    facts = asdict(coupon)
    base = sum(taken.left, Fraction(0)) / Fraction(10) ** found.sheet.decimals
    return InvoiceDiscount(
        id=new_id("invd"),
        invoice_id=invoice.id,
        position=position,
        coupon_id=coupon.id,
        attachment_id=taken.discount.id,
        description=coupon.name,
        amount=found.sheet.major(taken.amount),
        base=fraction_rounded(base, found.sheet.decimals),
        currency=invoice.currency,
        coupon=described({name: facts[name] for name in _COUPON}),
        shares=_shares(found, taken.shares),
        subscription_id=attachment.used_by(invoice.subscription_id),
    )


def _prepaid(invoice: Invoice, found: Reckoned, drawn: Drawn, position: int) -> InvoicePrepaid:
    return InvoicePrepaid(
        id=new_id("invp"),
        invoice_id=invoice.id,
        position=position,
        balance_id=drawn.balance.id,
        amount=found.sheet.major(drawn.amount),
        currency=invoice.currency,
        shares=_shares(found, drawn.shares),
    )


def _tax(
    invoice: Invoice,
    found: Reckoned,
    taken: TaxTaken,
    source: tuple[TaxRate, TaxExemption | None],
    *,
    position: int,
) -> InvoiceTax:
    rate, exemption = source
    facts = asdict(rate)
    return InvoiceTax(
        id=new_id("invt"),
        invoice_id=invoice.id,
        position=position,
        tax_rate_id=rate.id,
        association_id=taken.rate.id,
        exemption_id=None if exemption is None else exemption.id,
        description=rate.name,
        percent=rate.percent,
        included=rate.inclusive,
        treatment=TaxTreatment.STANDARD if exemption is None else exemption.kind,
        taxable=found.sheet.major(taken.taxable),
        amount=found.sheet.major(taken.amount),
        currency=invoice.currency,
        rate=described({name: facts[name] for name in _RATE}),
        shares=_shares(found, taken.shares),
    )


def _shares(found: Reckoned, whole: Whole) -> Shares:
    """What is not nothing, by the line's id."""
    shares: dict[str, Decimal] = {}
    for line, share in zip(found.lines, whole, strict=True):
        if share:
            shares[line.id] = found.sheet.major(share)
    return shares
