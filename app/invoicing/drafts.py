"""The invoice that comes of a bill, drafted from what was counted. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from app.catalog.prices import content_hash
from app.invoicing import explanation
from app.invoicing.applied.parts import NOTHING_APPLIED, Applied
from app.invoicing.bills import Bill, Billed
from app.invoicing.committed import Toward, committed_to, is_true_up, on_top
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus, LineKind, Totals
from app.invoicing.rating import ENGINE_VERSION, NOTHING, Counted, Fact, RatedLine, rate
from app.invoicing.remaining import remaining
from app.kernel.currencies import minor_units
from app.kernel.ids import new_id, new_ids
from app.kernel.quantity import added, exact_number
from app.kernel.zones import zone_data_version
from app.subscriptions.proration import policy_of

_ORDER = {LineKind.FIXED: 0, LineKind.USAGE: 1}


class Drafted(Struct, frozen=True):
    """An invoice with its lines and what was applied to them, saved or not."""

    invoice: Invoice
    lines: tuple[InvoiceLine, ...]
    applied: Applied = NOTHING_APPLIED


@dataclass(frozen=True, slots=True)
class Moment:
    """When a draft is made, how fresh its usage is, and when its wait for late events ends.

    `watermark`: what was accepted before it counts, and nothing else; None: whatever is stored.
    `skips_zero`: what comes to nothing is skipped instead of issued.
    """

    at: datetime
    watermark: datetime | None
    wait: timedelta = timedelta(0)
    skips_zero: bool = True


def draft(bill: Bill, counted: Mapping[Billed, Counted], moment: Moment) -> Drafted:
    """The invoice of `bill`. One that comes to nothing is skipped once its wait is over."""
    policy = policy_of(bill.subscription)
    facts = [
        Fact(
            entry.item,
            entry.price,
            entry.service,
            counted.get(entry.identity, NOTHING),
            entry.included,
            entry.committing,
            policy,
        )
        for entry in bill.entries
    ]
    lines_of = (remaining(rate(fact), fact.counted.earlier, fact.service.period) for fact in facts)
    rated = sorted((line for found in lines_of for line in found), key=lambda r: _ORDER[r.kind])
    toward = counted.get(bill.identity, NOTHING).toward
    rated += _committed(bill, rated, toward)
    invoice_id = new_id("inv")
    ids = iter(new_ids("invl", len(rated)))
    lines = tuple(
        _line(invoice_id, line, id_=next(ids), position=position, owner_id=bill.subscription.id)
        for position, line in enumerate(rated, start=1)
    )
    return Drafted(_invoice(invoice_id, bill, lines, moment), lines)


def _committed(bill: Bill, rated: Sequence[RatedLine], toward: Toward) -> Iterator[RatedLine]:
    """The line of what a commitment to all usage adds, where it adds anything."""
    if bill.committing is None:
        return
    amounts = [
        (place, line.amount)
        for place, line in enumerate(rated, start=1)
        if line.kind is LineKind.USAGE and not committed_to(line.explanation)
    ]
    addition = on_top(bill.committing, amounts, bill.period, toward)
    currency = bill.subscription.currency
    tree = explanation.line(addition, decimals=minor_units(currency))
    amount = exact_number(tree.result)
    if not amount or not isinstance(amount, Decimal):
        return
    missing = is_true_up(addition)
    yield RatedLine(
        kind=LineKind.TRUE_UP if missing else LineKind.COMMITMENT,
        item_id=None,
        price_id=None,
        meter_id=None,
        description="True-up to the commitment" if missing else "Overage beyond the commitment",
        group={},
        quantity=Decimal(1),
        amount=amount,
        currency=currency,
        service=bill.period,
        price={"currency": currency, "commitment": addition.parts[0].inputs},
        explanation=tree,
    )


def _invoice(invoice_id: str, bill: Bill, lines: Sequence[InvoiceLine], moment: Moment) -> Invoice:
    totals = Totals.of(_subtotal(lines, bill.subscription.currency))
    skipped = moment.skips_zero and moment.wait <= timedelta(0) and totals.is_nothing
    sold = {entry.price.content_hash for entry in bill.entries}
    promised = (bill.committing, *(entry.committing for entry in bill.entries))
    sold |= {each.hash for each in promised if each is not None}
    hashes = sorted(sold.union(*(entry.included.hashes for entry in bill.entries)))
    return Invoice(
        id=invoice_id,
        customer_id=bill.payer_id or bill.subscription.customer_id,
        subscription_id=bill.subscription.id,
        status=InvoiceStatus.SKIPPED if skipped else InvoiceStatus.DRAFT,
        reason=bill.reason,
        period=bill.period,
        timezone=bill.subscription.timezone,
        currency=bill.subscription.currency,
        totals=totals,
        number=None,
        issued_at=None,
        due_at=None,
        finalize_at=moment.at + moment.wait,
        finalized_at=None,
        voided_at=None,
        void_reason=None,
        seller=None,
        bill_to=None,
        pdf_key=None,
        engine_version=ENGINE_VERSION,
        catalog_hash=_catalog_hash(tuple(hashes)),
        zone_data=zone_data_version(),
        usage_watermark=moment.watermark,
        net_days=bill.subscription.terms.net_days,
        collection_method=bill.subscription.terms.collection_method,
        purchase_order=bill.subscription.terms.purchase_order,
        metadata={},
        created_at=moment.at,
        updated_at=moment.at,
    )


def _subtotal(lines: Sequence[InvoiceLine], currency: str) -> Decimal:
    """Raises ValueError for a line of another currency."""
    others = {line.currency for line in lines} - {currency}
    if others:
        raise ValueError(f"cannot combine {', '.join(sorted(others))} with {currency}")
    return added(line.amount for line in lines)


@lru_cache(maxsize=1024)
def _catalog_hash(hashes: tuple[str, ...]) -> str:
    """Of everything that was sold; most invoices of a run have the same."""
    return content_hash(hashes)


def _line(
    invoice_id: str, rated: RatedLine, *, id_: str, position: int, owner_id: str
) -> InvoiceLine:
    return InvoiceLine(
        id=id_,
        invoice_id=invoice_id,
        position=position,
        kind=rated.kind,
        subscription_id=owner_id,
        subscription_line_item_id=rated.item_id,
        price_id=rated.price_id,
        meter_id=rated.meter_id,
        description=rated.description,
        group=rated.group,
        quantity=rated.quantity,
        amount=rated.amount,
        currency=rated.currency,
        service=rated.service,
        price=rated.price,
        explanation=explanation.to_json(rated.explanation),
    )
