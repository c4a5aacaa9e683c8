"""Which drafts of a payer become one invoice, and that invoice. Pure.

What is folded is what nobody has touched and what asks for the same terms: the payer, the
currency, the local day of the tax point in the payer's zone, the zone whose days are printed, the
terms of payment, the order number, and how fresh the usage is. The lines keep their identity.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.catalog.prices import content_hash
from app.invoicing.applied.parts import Applied
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import BillingReason, Invoice, InvoiceLine, InvoiceStatus, Totals
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.quantity import EXACT

# What is billed of subscriptions by itself, the one that says most of an invoice first. What is
# billed ahead of its period, or for a change or a correction, is asked for at once and apart.
_REASONS = (
    BillingReason.SUBSCRIPTION_CYCLE,
    BillingReason.TRIAL_END,
    BillingReason.SUBSCRIPTION_CREATE,
    BillingReason.SUBSCRIPTION_UPDATE,
)
Key = tuple[object, ...]


def together(
    drafts: Iterable[Invoice], zones: Mapping[str, str], *, apart: Collection[str] = ()
) -> list[list[Invoice]]:
    """The drafts that become one invoice, two or more of each, in the order of their
    subscriptions. `zones` has the time zones of the payers that want it, by their ids; `apart` the
    ids of invoices and subscriptions that have to be billed on their own."""
    found: defaultdict[Key, list[Invoice]] = defaultdict(list)
    alone = set(apart)
    for draft in drafts:
        zone = zones.get(draft.customer_id)
        if zone is None or not _untouched(draft) or not alone.isdisjoint((draft.id, *draft.owners)):
            continue
        found[_key(draft, ZoneInfo(zone))].append(draft)
    return [sorted(mine, key=_place) for mine in found.values() if len(mine) > 1]


def _untouched(draft: Invoice) -> bool:
    """What somebody has made of a draft is kept as it is."""
    noted = draft.memo or draft.metadata or draft.due_at or draft.source_id
    return (
        draft.status is InvoiceStatus.DRAFT
        and draft.subscription_id is not None
        and draft.reason in _REASONS
        and not (draft.edited or draft.replaces_id or noted)
    )


def _key(draft: Invoice, zone: ZoneInfo) -> Key:
    day: date = draft.tax_point.astimezone(zone).date()
    return (
        draft.customer_id,
        draft.currency,
        day,
        draft.timezone,
        draft.net_days,
        draft.collection_method,
        draft.purchase_order,
        draft.usage_watermark,
        draft.engine_version,
        draft.zone_data,
    )


def _place(draft: Invoice) -> tuple[str, datetime, str]:
    return draft.subscription_id or "", draft.period.end, draft.id


def folded(members: Sequence[Drafted], *, at: datetime) -> Drafted:
    """The draft that asks for what all of them ask for, before discounts and taxes. It has their
    lines, and the corrections that these bill.

    Its reason is that of a period's end if any of them has it, and its period spans those of that
    reason, from the last start on where they begin: so its tax point is the latest of theirs, and
    a coupon that came with the last of them counts.
    """
    first = members[0].invoice
    reason = next(r for r in _REASONS if any(each.invoice.reason is r for each in members))
    periods = [each.invoice.period for each in members if each.invoice.reason is reason]
    starts = [period.start for period in periods]
    waits = [each.invoice.finalize_at for each in members if each.invoice.finalize_at is not None]
    invoice_id = new_id("inv")
    lines = placed(invoice_id, [line for each in members for line in each.lines])
    invoice = replace(
        first,
        id=invoice_id,
        subscription_id=None,
        subscription_ids=tuple(dict.fromkeys(o for each in members for o in each.invoice.owners)),
        reason=reason,
        period=Period(
            max(starts) if reason.begins else min(starts), max(period.end for period in periods)
        ),
        totals=_sum(lines),
        finalize_at=max(waits, default=None),
        catalog_hash=hash_of(each.invoice for each in members),
        tax_notes=(),
        reckoning={},
        created_at=at,
        updated_at=at,
    )
    corrections = (part for each in members for part in each.applied.corrections)
    billed = tuple(replace(part, invoice_id=invoice_id) for part in corrections)
    return Drafted(invoice, lines, Applied(corrections=billed))


def as_one(parts: Sequence[Drafted]) -> Drafted:
    """The lines of one or several bills computed at one moment, with what they follow from."""
    first = parts[0].invoice
    if len(parts) == 1:
        return parts[0]
    invoice = replace(first, catalog_hash=hash_of(each.invoice for each in parts))
    return Drafted(invoice, tuple(line for each in parts for line in each.lines))


def hash_of(members: Iterable[Invoice]) -> str:
    """Of the catalogues that led to them."""
    return content_hash(sorted({each.catalog_hash for each in members}))


def placed(invoice_id: str, lines: Iterable[InvoiceLine]) -> tuple[InvoiceLine, ...]:
    """Lines on another invoice, numbered anew, with nothing applied to them."""
    nothing = Decimal(0)
    return tuple(
        replace(
            line, invoice_id=invoice_id, position=position, discount=nothing, prepaid=nothing,
            tax=nothing, tax_included=nothing, shares=None,
        )
        for position, line in enumerate(lines, start=1)
    )  # fmt: skip


def held(member: Invoice, into_id: str, *, at: datetime) -> Invoice:
    """What is left of a draft whose lines are on another invoice: the place of its period."""
    return replace(
        member,
        status=InvoiceStatus.CONSOLIDATED,
        consolidated_into_id=into_id,
        totals=Totals.of(Decimal(0)),
        tax_notes=(),
        reckoning={},
        updated_at=at,
    )


def _sum(lines: Iterable[InvoiceLine]) -> Totals:
    subtotal = Decimal(0)
    for line in lines:
        subtotal = EXACT.add(subtotal, line.amount)
    return Totals.of(subtotal)
