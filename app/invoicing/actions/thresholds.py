"""Billing usage before its period ends, where it has come to its subscription's threshold."""

from collections.abc import Sequence

from app.infra.clickhouse import ClickHouse
from app.infra.crash import point
from app.infra.postgres import writing
from app.invoicing.actions.drafting import Outcome
from app.invoicing.actions.saving import save
from app.invoicing.bills import accruing
from app.invoicing.drafts import Drafted, Moment, draft
from app.invoicing.usage import count
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions import bill_usage_until
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.subscription import Subscription


async def bill_thresholds(
    scope: Scope,
    subjects: Sequence[BillableSubscription],
    clickhouse: ClickHouse,
    *,
    moment: Moment,
    by: Actor,
) -> Outcome:
    """Draft an invoice of the usage so far for those whose threshold is reached.

    One that is due to be billed anyway, or that somebody billed or changed meanwhile, is left
    alone. Raises: NotFound (a meter is gone), Invalid (a price that cannot be applied),
    Unavailable.
    """
    found = [(s.subscription, accruing(s, moment.at)) for s in subjects]
    bills = [(subscription, bill) for subscription, bill in found if bill is not None]
    asked = [bill for _, bill in bills]
    counted = await count(scope, clickhouse, asked, as_of=moment.watermark)
    drafts = [(subscription, draft(bill, counted, moment)) for subscription, bill in bills]
    reached = [pair for pair in drafts if _reaches(*pair)]
    point("invoicing.threshold_rated")
    async with writing(scope) as connection:
        moved = await bill_usage_until(scope, [s for s, _ in reached], at=moment.at)
        taken = [drafted for subscription, drafted in reached if subscription.id in moved]
        saved = await save(connection, scope, taken, by=by, at=moment.at)
        point("invoicing.threshold_drafted")
    return Outcome(saved, moved)


def _reaches(subscription: Subscription, drafted: Drafted) -> bool:
    threshold = subscription.terms.auto_invoice_threshold
    return threshold is not None and drafted.invoice.totals.subtotal >= threshold
