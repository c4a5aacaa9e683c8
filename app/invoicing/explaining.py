"""Why an invoice asks for what it asks, and how much of that is for which line. Pure.

The trees are put together of what is stored: those of the lines, their shares, and the reckoning.
`explanation.evaluate` works them out again.
"""

from collections.abc import Sequence

from app.catalog.prices import Step
from app.catalog.prices.explanation import step
from app.invoicing.amounts import Line, Rules, Terms, reckon, steps
from app.invoicing.credit_note import Application, ApplicationKind
from app.invoicing.explanation import from_json
from app.invoicing.invoice import Invoice, InvoiceLine
from app.kernel.currencies import minor_units


def of_invoice(
    invoice: Invoice, lines: Sequence[InvoiceLine], entries: Sequence[Application] = ()
) -> Step:
    """From the lines to what was due when it was issued, or would be now.

    `entries` are what credit notes paid of it and what came back: credits are taken when an
    invoice is issued, so the reckoning of its draft does not have them. Raises: Unexplained.
    """
    stored = invoice.reckoning.get("steps")
    tree = _plain(invoice, lines) if stored is None else from_json(stored)
    paid = [each for each in entries if each.kind is ApplicationKind.INVOICE]
    if not paid:
        return tree
    total, totals = tree.parts[0], invoice.totals
    credits_ = tuple(
        step("drawn", {"balance": each.credit_note_id, "amount": each.amount}, each.amount)
        for each in paid
    )
    return step(
        "amount_due", {}, totals.amount_due, (total, step("credits", {}, totals.credited, credits_))
    )


def of_line(line: InvoiceLine) -> Step:
    """What is asked for a line: its amount as it was priced, then its shares of what was applied
    to the invoice. Raises: Unexplained."""
    own = from_json(line.explanation)
    if line.shares is None:
        return own
    return steps.line(own, [from_json(share) for share in line.shares])


def _plain(invoice: Invoice, lines: Sequence[InvoiceLine]) -> Step:
    """Of an invoice to which nothing was applied, so that it comes to the sum of its lines."""
    found = reckon(
        [Line(line.id, line.amount, line.kind.value) for line in lines],
        Terms(),
        currency=invoice.currency,
        decimals=minor_units(invoice.currency),
        rules=Rules(),
    )
    return steps.due(found)
