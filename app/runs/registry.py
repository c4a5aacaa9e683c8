"""Who does which due work, and in which order: everything that falls due, on one page.

The billing run and the sweep take the kinds from here. Where work of several kinds is due at one
instant, the kind that stands first is done first. A new kind is one entry, and the page function
of its domain behind it; neither the workflows nor their saved histories change with it.
"""

from functools import partial

from app.infra.due import Kind
from app.invoicing import billing, correction_run, work
from app.invoicing.billing import Billing


def kinds(services: Billing) -> tuple[Kind, ...]:
    """The kinds of due work, in the order in which they are done."""
    return (
        # Before changes, so that what waits for billing is made in the same run.
        Kind(work.MIGRATE, partial(billing.migrate_page, services)),
        Kind(work.CHANGE, partial(billing.change_page, services)),
        # Before bills, so that what is drafted next has it.
        Kind(work.CORRECT, partial(correction_run.correct_page, services)),
        Kind(work.BILL, partial(billing.bill_page, services), sharded=True),
        Kind(work.THRESHOLD, partial(billing.threshold_page, services), sharded=True),
        Kind(work.FINALIZE, partial(billing.finalize_page, services), sharded=True),
        Kind(work.CREDIT, partial(billing.credit_page, services), sharded=True),
        Kind(work.PRINT, partial(billing.print_page, services), sharded=True),
    )
