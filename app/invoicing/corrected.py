"""Drafts with the corrections that are to be billed of their subscriptions."""

from collections.abc import Sequence

from app.invoicing import correction_reads
from app.invoicing.correcting import attached, less
from app.invoicing.correction import Correction
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import InvoiceStatus, LineKind
from app.kernel.copies import replace
from app.kernel.scope import Scope


async def corrected(scope: Scope, drafts: Sequence[Drafted], *, lock: bool) -> list[Drafted]:
    """The drafts with lines of what is pending, the earliest period first; the next draft takes
    what one cannot.

    `lock`: inside the transaction that writes them.
    """
    subscriptions = {owner for drafted in drafts for owner in drafted.invoice.owners}
    if not subscriptions:
        return list(drafts)
    ids = [drafted.invoice.id for drafted in drafts]
    pending = await correction_reads.pending(scope, subscriptions, without=ids, lock=lock)
    if not pending and not any(_adjusted(drafted) for drafted in drafts):
        return list(drafts)
    found: dict[str, Drafted] = {}
    for drafted in sorted(drafts, key=lambda d: (d.invoice.period.end, d.invoice.id)):
        found[drafted.invoice.id], pending = _with(drafted, pending)
    return [found[key] for key in ids]


def _adjusted(drafted: Drafted) -> bool:
    return any(line.kind is LineKind.ADJUSTMENT for line in drafted.lines)


def _with(drafted: Drafted, pending: list[Correction]) -> tuple[Drafted, list[Correction]]:
    invoice = drafted.invoice
    mine = [each for each in pending if each.subscription_id in invoice.owners]
    lines, applied = attached(invoice, drafted.lines, mine)
    # What asks for something after all is not skipped.
    if applied and invoice.status is InvoiceStatus.SKIPPED:
        invoice = replace(invoice, status=InvoiceStatus.DRAFT)
    now = Drafted(invoice, tuple(lines), replace(drafted.applied, corrections=tuple(applied)))
    return now, less(pending, applied)
