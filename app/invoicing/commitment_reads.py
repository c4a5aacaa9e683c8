"""What other invoices billed towards the commitments of bills at hand: one statement for all."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from app.infra.postgres import fetch
from app.invoicing.bills import Bill, Billed
from app.invoicing.committed import Toward
from app.invoicing.invoice import BillingReason, InvoiceLine, LineKind
from app.invoicing.records import line_of
from app.kernel.scope import Scope
from app.subscriptions.committing import Committing

_LINES = (
    "SELECT i.reason, l.* FROM invoice_lines l "
    "JOIN invoices i ON i.id = l.invoice_id WHERE l.tenant_id = $1 AND l.environment_id = $2 "
    "AND l.subscription_id = ANY($3) AND i.status <> 'void' AND l.kind = $4 "
    "AND l.service_start >= $5 ORDER BY l.service_start, l.id"
)


async def toward_commitments(scope: Scope, bills: Sequence[Bill]) -> dict[Billed, Toward]:
    """By a bill's or an entry's identity, the usage lines of other invoices of its subscription.

    Nothing is asked where no commitment has to know of another invoice.
    """
    asked = [bill for bill in bills if _asks(bill)]
    if not asked:
        return {}
    since = min(each.since for bill in asked for each in _committings(bill))
    rows = await fetch(
        scope,
        _LINES,
        scope.tenant_id,
        scope.environment_id,
        list({bill.subscription.id for bill in asked}),
        LineKind.USAGE.value,
        since,
    )
    found: defaultdict[str, list[tuple[bool, InvoiceLine]]] = defaultdict(list)
    for row in rows:
        ahead = row["reason"] == BillingReason.THRESHOLD.value
        found[row["subscription_id"]].append((ahead, line_of(row)))
    return {
        key: value for bill in asked for key, value in _toward(bill, found[bill.subscription.id])
    }


def _committings(bill: Bill) -> list[Committing]:
    every = (bill.committing, *(entry.committing for entry in bill.entries))
    return [each for each in every if each is not None]


def _asks(bill: Bill) -> bool:
    ahead = bill.committing is not None and bill.subscription.threshold_until is not None
    return ahead or any(each.cumulative for each in _committings(bill))


def _toward(
    bill: Bill, lines: Sequence[tuple[bool, InvoiceLine]]
) -> Iterator[tuple[Billed, Toward]]:
    ahead = [line for early, line in lines if early]
    if bill.committing is not None:
        # Ahead lines count for themselves: what the last one leaves is on the period's own line.
        start = bill.point.period.start
        before = [line for early, line in lines if not early and line.service.end <= start]
        yield bill.identity, Toward(before, [each for each in ahead if _is_before(each, bill)])
    for entry in bill.entries:
        if entry.committing is not None and entry.committing.cumulative:
            mine = [
                line
                for early, line in lines
                if not early
                and line.subscription_line_item_id == entry.item.id
                and line.service.end <= entry.service.period.start
            ]
            yield entry.identity, Toward(mine)


def _is_before(line: InvoiceLine, bill: Bill) -> bool:
    """Whether a line that was billed ahead is not the bill's own, drafted before."""
    return not bill.ahead or line.service.end < bill.point.at
