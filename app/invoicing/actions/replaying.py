"""Making an invoice again, from what is kept with it, without changing anything."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.catalog.price import ChargeKind
from app.infra.clickhouse import ClickHouse
from app.invoicing import reads
from app.invoicing.actions.reckoning import stored
from app.invoicing.bills import Billed, Entry
from app.invoicing.charges import Charge, charges_of
from app.invoicing.committed import NOTHING_TOWARD
from app.invoicing.included import included_of
from app.invoicing.invoice import InvoiceLine
from app.invoicing.rating import NOTHING, Counted, Fact, RatedLine, rate
from app.invoicing.remaining import remaining
from app.invoicing.replaying import Replay, replayed
from app.invoicing.usage import recount
from app.kernel.copies import replace
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.proration import BY_SECOND, policy_of


async def replay(scope: Scope, invoice_id: str, clickhouse: ClickHouse) -> Replay:
    """Work an invoice out again: its prices as they were, usage as of its watermark.

    Raises: NotFound (the invoice, or a meter is gone), Unexplained, Unavailable.
    """
    invoice = await reads.get(scope, invoice_id)
    (kept,) = await stored(scope, [invoice])
    charges = charges_of(kept.lines)
    owners = {charge.item.subscription_id for charge in charges}
    subjects = {s.subscription.id: s for s in await subscriptions.billable(scope, owners)}
    found = [subjects.get(charge.item.subscription_id) for charge in charges]
    pairs = [(s, charge) for s, charge in zip(found, charges, strict=True) if s is not None]
    counted = await counts(scope, clickhouse, pairs, as_of=invoice.usage_watermark)
    earlier = await reads.lines_of_invoices(
        scope, {key for charge in charges for key in charge.before}
    )
    rated = {
        index: list(again(subject, charge, counted, earlier))
        for index, (subject, charge) in enumerate(zip(found, charges, strict=True))
    }
    return replayed(kept, charges, rated)


async def counts(
    scope: Scope,
    clickhouse: ClickHouse,
    charges: Sequence[tuple[BillableSubscription, Charge]],
    *,
    as_of: datetime | None,
) -> dict[Billed, Counted]:
    """What meters count for the usage charges as of a watermark. Raises: NotFound, Unavailable."""
    entries = [
        (subject.subscription, entry_of(subject, charge))
        for subject, charge in charges
        if charge.price.charge is ChargeKind.USAGE
    ]
    return await recount(scope, clickhouse, entries, as_of=as_of)


def entry_of(subject: BillableSubscription | None, charge: Charge) -> Entry:
    """The charge as it was billed. What was given to a subscription, and when, does not change."""
    entitled = None if subject is None else subject.entitled
    included = included_of(charge.price, entitled, charge.service.period)
    committing, _ = charge.committed or (None, NOTHING_TOWARD)
    return Entry(charge.item, charge.price, charge.service, included, committing)


def fact_of(
    subject: BillableSubscription | None, charge: Charge, counted: Mapping[Billed, Counted]
) -> Fact:
    """What leads to the charge's lines, with what is counted now."""
    entry = entry_of(subject, charge)
    figures = counted.get(entry.identity, NOTHING)
    committing, toward = charge.committed or (None, NOTHING_TOWARD)
    return Fact(
        entry.item,
        entry.price,
        entry.service,
        replace(figures, toward=toward),
        entry.included,
        committing,
        BY_SECOND if subject is None else policy_of(subject.subscription),
    )


def again(
    subject: BillableSubscription | None,
    charge: Charge,
    counted: Mapping[Billed, Counted],
    earlier: Mapping[str, Sequence[InvoiceLine]],
) -> Sequence[RatedLine]:
    """The charge's lines as they come out; `earlier` has the lines of invoices by their ids."""
    fact = fact_of(subject, charge, counted)
    before = [
        line
        for key in sorted(charge.before)
        for line in earlier.get(key, ())
        if line.subscription_line_item_id == fact.item.id
    ]
    before.sort(key=lambda line: (line.service.end, line.id))
    return list(remaining(rate(fact), before, fact.service.period))
