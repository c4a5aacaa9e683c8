"""Looking again at usage that was billed, and booking by how much it differs.

Everything is read and rated before a transaction, which holds the invoices at hand: what was
corrected of them is read there, so that two at a time book nothing twice.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from app.clocks import reads as clocks
from app.customers import reads as customers
from app.infra import outbox
from app.infra.clickhouse import ClickHouse
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing import correction_reads
from app.invoicing.actions import locks
from app.invoicing.actions.correction_notes import Look, settle_by_notes
from app.invoicing.actions.replaying import counts, entry_of, fact_of
from app.invoicing.asked import Names, asked_of, names_of
from app.invoicing.bills import upcoming
from app.invoicing.charges import Charge, charges_of
from app.invoicing.correcting import corrections
from app.invoicing.correction import Correction, CorrectionPolicy
from app.invoicing.correction_records import correction_values
from app.invoicing.events import CorrectionBooked
from app.invoicing.invoice import Invoice, InvoiceLine, InvoiceStatus
from app.invoicing.rating import RatedLine, rate
from app.invoicing.records import insert
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import changes
from app.metering import reads as meters
from app.subscriptions import reads as subscriptions
from app.subscriptions.billable import BillableSubscription
from app.tenants import audit
from app.tenants.reads import environments

_IN_FORCE = frozenset({InvoiceStatus.FINALIZED, InvoiceStatus.SKIPPED})
_MARK = (
    "INSERT INTO correction_marks (tenant_id, environment_id, watermark) VALUES ($1, $2, $3) "
    "ON CONFLICT (tenant_id, environment_id) "
    "DO UPDATE SET watermark = greatest(correction_marks.watermark, excluded.watermark)"
)
_SEEN = (
    "WITH held AS (SELECT id FROM invoices WHERE tenant_id = $1 AND environment_id = $2 "
    "AND id = ANY($4) AND corrected_as_of IS NULL ORDER BY id FOR UPDATE) "
    "UPDATE invoices SET corrected_as_of = $3 WHERE id IN (SELECT id FROM held)"
)
# By meter and the customer's own name, when usage may have changed.
Dirty = Mapping[tuple[str, str], Sequence[Period]]


@dataclass(frozen=True, slots=True)
class _Rated:
    """A charge with the lines that it comes to now."""

    charge: Charge
    invoice_id: str
    lines: tuple[RatedLine, ...]


async def correct(scope: Scope, clickhouse: ClickHouse, look: Look) -> int:
    """Book what changed of billed usage since the last look; how many corrections that made.

    Broken off and begun again, it books nothing twice.
    Raises: NotFound (a meter is gone), Unavailable.
    """
    unseen = await correction_reads.unseen(scope)
    since = min([*unseen.values(), *filter(None, [await correction_reads.mark(scope)])],
                default=look.watermark)  # fmt: skip
    booked = 0
    if since < look.watermark:
        dirty = await _dirty(scope, clickhouse, since, look.watermark)
        names = sorted({customer for _, customer in dirty})
        for part in parts_of(names, look.size):
            booked += await _customers(scope, clickhouse, dirty, part, look=look)
    await _settle_ended(scope, look)
    point("invoicing.corrected")
    async with writing(scope) as connection:
        ids = scope.tenant_id, scope.environment_id
        await connection.execute(_MARK, *ids, look.watermark)
        await connection.execute(_SEEN, *ids, look.watermark, list(unseen))
    return booked


async def _dirty(scope: Scope, clickhouse: ClickHouse, since: datetime, until: datetime) -> Dirty:
    found: defaultdict[tuple[str, str], list[Period]] = defaultdict(list)
    known = await meters.all_of(scope)
    for cell in await changes.between(scope, clickhouse, known, since=since, until=until):
        found[cell.meter_id, cell.external_customer_id].append(cell.period)
    return found


async def _customers(
    scope: Scope, clickhouse: ClickHouse, dirty: Dirty, names: Collection[str], *, look: Look
) -> int:
    """Look at what was billed of customers, by the names that events carry."""
    known = await customers.by_external_ids(scope, names)
    ids = {customer.id for customer in known.values()}
    if not ids:
        return 0
    # What they used may be billed to the families that they are, or were, in.
    ids |= await customers.parents_ever(scope, ids)
    first = min(part.start for (_, name), parts in dirty.items() if name in known
                for part in parts)  # fmt: skip
    lines = await correction_reads.billed_usage(scope, ids, after=first, as_of=look.watermark)
    rated = await _rated(scope, clickhouse, lines, dirty=dirty, as_of=look.watermark)
    if not rated:
        return 0
    point("invoicing.correction_rated")
    return await _book(scope, rated, look)


async def _rated(
    scope: Scope,
    clickhouse: ClickHouse,
    lines: Iterable[InvoiceLine],
    *,
    dirty: Dirty,
    as_of: datetime,
) -> list[_Rated]:
    """The charges whose usage may have changed, rated anew."""
    by_invoice: defaultdict[str, list[InvoiceLine]] = defaultdict(list)
    for line in lines:
        by_invoice[line.invoice_id].append(line)
    charges = [(key, charge) for key, mine in by_invoice.items() for charge in charges_of(mine)]
    subjects = await _subjects(scope, [charge for _, charge in charges])
    names = await names_of(scope, [each.subscription for each in subjects.values()])
    touched = [
        (key, subject, charge)
        for key, charge in charges
        if (subject := subjects.get(charge.item.subscription_id))
        and _touched(subject, charge, dirty, names)
    ]
    pairs = [(subject, charge) for _, subject, charge in touched]
    counted = await counts(scope, clickhouse, pairs, as_of=as_of)
    found = []
    for key, subject, charge in touched:
        fact = fact_of(subject, charge, counted)
        found.append(_Rated(charge, key, tuple(rate(fact))))
    return found


async def _subjects(scope: Scope, charges: Iterable[Charge]) -> dict[str, BillableSubscription]:
    """The subscriptions of charges, by their ids."""
    found = await subscriptions.billable(scope, {each.item.subscription_id for each in charges})
    return {subject.subscription.id: subject for subject in found}


def _touched(subject: BillableSubscription, charge: Charge, dirty: Dirty, names: Names) -> bool:
    """Whether anything that the charge counts may have changed, for its allowances too."""
    asked = asked_of(subject.subscription, entry_of(subject, charge), names, {})
    return any(
        part.start < counted.end and counted.start < part.end
        for (meter_id, _), span in asked.spans
        for name, counted in span.parts
        for part in dirty.get((meter_id, name), ())
    )


async def _book(scope: Scope, rated: Sequence[_Rated], look: Look) -> int:
    policy = CorrectionPolicy((await environments.settings(scope)).corrections.policy)
    async with writing(scope) as connection:
        held = {
            invoice.id: invoice
            for invoice in await locks.invoices(
                connection, scope, {each.invoice_id for each in rated}
            )
        }
        earlier = await correction_reads.of_invoices(scope, held)
        presents = await presents_of(scope, {i.customer_id for i in held.values()}, look)
        found = [
            one
            for each in rated
            if (invoice := held.get(each.invoice_id)) and invoice.status in _IN_FORCE
            for one in _differences(
                each,
                invoice,
                earlier.get(invoice.id, ()),
                policy=policy,
                as_of=look.watermark,
                at=presents[invoice.customer_id],
            )
        ]
        rows = [correction_values(scope, one) for one in found]
        await insert(connection, "invoice_corrections", rows)
        entries = [
            audit.Entry("invoice_correction.book", one.id, after=facts(one)) for one in found
        ]
        await audit.record_many(scope, look.by, entries, at=look.at)
        await outbox.put_many(scope, [CorrectionBooked.of(one, one.created_at) for one in found])
        if policy is CorrectionPolicy.CREDIT_OR_DEBIT_NOTE and found:
            ids = {one.subscription_id for one in found}
            subjects = await subscriptions.billable(scope, ids)
            payers = {s.payer_id or s.subscription.customer_id for s in subjects}
            presents |= await presents_of(scope, payers, look)
            await settle_by_notes(scope, connection, subjects, look, presents=presents)
        point("invoicing.correction_booked")
    return len(found)


def _differences(
    rated: _Rated,
    invoice: Invoice,
    earlier: Iterable[Correction],
    *,
    policy: CorrectionPolicy,
    as_of: datetime,
    at: datetime,
) -> list[Correction]:
    """None where somebody has looked as of this watermark, or a later one."""
    identity = rated.charge.identity
    mine = [each for each in earlier if (each.line_item_id, each.service) == identity]
    if any(each.as_of >= as_of for each in mine):
        return []
    return corrections(rated.charge, invoice, rated.lines, mine, as_of=as_of, policy=policy, at=at)


async def _settle_ended(scope: Scope, look: Look) -> None:
    """Bill by notes what waits for a next invoice of subscriptions that will have none."""
    waiting = await correction_reads.waiting_subscriptions(scope)
    for part in parts_of(waiting, look.size):
        ended = [s for s in await subscriptions.billable(scope, part) if upcoming(s) is None]
        if not ended:
            continue
        async with writing(scope) as connection:
            payers = {s.payer_id or s.subscription.customer_id for s in ended}
            presents = await presents_of(scope, payers, look)
            await settle_by_notes(scope, connection, ended, look, presents=presents)


async def presents_of(
    scope: Scope, customer_ids: Collection[str], look: Look
) -> dict[str, datetime]:
    """What time it is for each customer: that of a test clock, where one lives on it."""
    found = await clocks.of_customers(scope, customer_ids)
    return {key: found[key].frozen_at if key in found else look.at for key in customer_ids}


def facts(correction: Correction) -> dict[str, Any]:
    """A correction as the audit log keeps it."""
    return {
        "customer_id": correction.customer_id,
        "invoice_id": correction.invoice_id,
        "invoice_line_id": correction.invoice_line_id,
        "policy": correction.policy,
        "status": correction.status,
        "currency": correction.currency,
        "quantity": correction.quantity,
        "amount": correction.amount,
        "as_of": correction.as_of,
        "reason": correction.reason,
    }


def parts_of(names: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while part := list(islice(rest, size)):
        yield part
