"""Billing subscriptions: one invoice for every point of theirs that has come, issued at once
where it waits for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from app.infra.clickhouse import ClickHouse
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing.actions import issuing
from app.invoicing.actions.at_once import save_at_once
from app.invoicing.actions.saving import save
from app.invoicing.bills import Bill, due
from app.invoicing.drafts import Drafted, Moment, draft
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.usage import count
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions import Billed, advance
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.committing import is_cumulative


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was drafted, issued and skipped invoices included, which subscriptions moved on, and
    which of these have more points due than were asked for."""

    drafted: list[Drafted]
    moved: set[str]
    behind: set[str] = field(default_factory=set)

    @property
    def issued(self) -> list[Drafted]:
        return [d for d in self.drafted if d.invoice.status is InvoiceStatus.FINALIZED]


async def bill(
    scope: Scope,
    subjects: Sequence[BillableSubscription],
    clickhouse: ClickHouse,
    *,
    moment: Moment,
    most: int,
    by: Actor,
    issues: bool = False,
) -> Outcome:
    """Draft the invoices of up to `most` due points of each subscription, oldest first.

    `issues`: those that wait for nothing are issued in the same transaction.
    Everything is read and rated before the transaction, which then takes only the
    subscriptions that nobody else has billed or changed meanwhile.
    Raises: NotFound (a meter is gone), Invalid (a price that cannot be applied), Unavailable;
    NumberTaken where it issues.
    """
    bills: dict[str, list[Bill]] = {}
    behind: set[str] = set()
    for subject in subjects:
        key = subject.subscription.id
        # What counts towards a commitment for several periods has to be written first.
        limit = 1 if is_cumulative(subject.subscription) else most
        found = due(subject, moment.at, limit=limit + 1)
        bills[key] = found[:limit]
        if len(found) > limit:
            behind.add(key)
    asked = [each for found in bills.values() for each in found if each.needs_invoice]
    counted = await count(scope, clickhouse, asked, as_of=moment.watermark)
    drafts = [draft(each, counted, moment) for each in asked]
    reached = [
        Billed(
            subject.subscription,
            tuple(bill.point for bill in found),
            tuple(bill.cut for bill in found if bill.cut is not None),
        )
        for subject in subjects
        if (found := bills[subject.subscription.id])
    ]
    issuer = await issuing.issuer(scope) if issues and moment.wait <= timedelta(0) else None
    point("invoicing.rated")
    async with writing(scope) as connection:
        moved = await advance(scope, reached, at=moment.at)
        taken = [drafted for drafted in drafts if drafted.invoice.subscription_id in moved]
        if issuer is None:
            saved = await save(connection, scope, taken, by=by, at=moment.at)
        else:
            saved = await save_at_once(connection, scope, taken, issuer, by=by, at=moment.at)
        point("invoicing.drafted")
    point("invoicing.drafted_committed")
    if issuer is not None:
        point("invoicing.finalized_committed")
    return Outcome(saved, moved, behind & moved)
