"""The next invoice of a subscription, by the code that bills, without saving anything."""

from dataclasses import replace

from app.infra.clickhouse import ClickHouse
from app.invoicing.bills import Drafted, Moment, draft, upcoming
from app.invoicing.corrected import corrected
from app.invoicing.errors import NothingToBill
from app.invoicing.in_force import reckoned
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.usage import count
from app.kernel.errors import NotFound
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions


async def preview(
    scope: Scope, subscription_id: str, clickhouse: ClickHouse, *, moment: Moment
) -> Drafted:
    """What the subscription's next invoice would be if its period had the usage it has now.

    Raises: NotFound, NothingToBill, Unavailable.
    """
    found = await subscriptions.billable(scope, [subscription_id])
    if not found:
        raise NotFound("subscription", subscription_id, field="subscriptionId")
    bill = upcoming(found[0])
    if bill is None:
        raise NothingToBill(subscription_id)
    counted = await count(scope, clickhouse, [bill], as_of=moment.watermark)
    drafted = draft(bill, counted, moment)
    invoice = replace(drafted.invoice, status=InvoiceStatus.DRAFT, finalize_at=None)
    unsaved = replace(drafted, invoice=invoice)
    (whole,) = await corrected(scope, [unsaved], lock=False)
    (reckoned_,) = await reckoned(scope, [whole], at=moment.at, lock=False)
    return reckoned_
