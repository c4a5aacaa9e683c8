"""What a run does of corrections: it looks again at what the environment has billed."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from app.infra import due
from app.infra.due import Page, PageDone, Tally
from app.infra.postgres import writing
from app.invoicing import actions
from app.invoicing.actions import Look
from app.invoicing.billing import Billing
from app.invoicing.work import CORRECT
from app.kernel.scope import SYSTEM, Scope
from app.tenants.reads import environments

log = structlog.get_logger(__name__)


async def correct_page(services: Billing, page: Page) -> PageDone:
    """Book what changed of usage that was billed, and look again after a while.

    Raises: Unavailable.
    """
    ids, after = await due.take(page, CORRECT)
    tally = Tally()
    look = Look(page.watermark, page.at, SYSTEM, page.limit)

    async def correct(some: Sequence[str]) -> list[str]:
        booked = await actions.correct(page.scope, services.clickhouse, look)
        tally["corrected"] += booked
        if booked:
            log.info("corrections_booked", environment=page.scope.environment_id, count=booked)
        await _again(page.scope, some, page.at)
        return list(some)

    _, refused = await due.apart(ids, correct)
    await due.note(page, CORRECT, refused)
    tally["failed"] += len(refused)
    return PageDone(+tally, after)


async def _again(scope: Scope, subjects: Sequence[str], at: datetime) -> None:
    later = at + (await environments.settings(scope)).corrections.interval
    async with writing(scope):
        items = [due.Item(subject, later, None) for subject in subjects]
        await due.schedule_many(scope, CORRECT, items)
