"""The steps of a billing run: each does one page of due work, and may be done again.

A subject that is refused (a price that cannot be applied, a meter that is gone) stays due with
the reason noted, and does not keep the others from being billed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Protocol

import asyncpg
import structlog
from prometheus_client import Counter

from app import config
from app.infra import due
from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.infra.s3 import Storage
from app.invoicing import actions, reads
from app.invoicing.bills import Moment
from app.invoicing.commands import PageDone, Tally
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.work import BILL, FINALIZE, PRINT
from app.kernel.clock import Clock
from app.kernel.errors import TariffError, Unavailable
from app.kernel.scope import SYSTEM, Scope
from app.subscriptions import reads as subscriptions
from app.tenants.reads import environments

log = structlog.get_logger(__name__)

INVOICES = Counter("tariff_invoices_total", "What billing runs did with invoices.", ["step"])

# Between two looks at how far the consumers have come.
_POLL = timedelta(milliseconds=250)
# What a subject can be refused for; anything else, such as a server that is gone, is retried.
_REFUSALS = (TariffError, ValueError, ArithmeticError, LookupError, asyncpg.DataError)


class Visibility(Protocol):
    """How far accepted events have come on their way to being counted."""

    async def caught_up(self, watermark: datetime) -> bool:
        """Whether every event accepted before the instant is counted. Raises: Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Billing:
    """The servers, the clock and the settings that billing needs of its process."""

    clickhouse: ClickHouse
    storage: Storage
    clock: Clock
    visibility: Visibility
    settings: config.Billing


@dataclass(frozen=True, slots=True)
class Page:
    """Due work of `scope` at `at`, from the subject that follows `after`.

    `watermark`: every event accepted before it has been counted.
    """

    scope: Scope
    at: datetime
    watermark: datetime
    after: str = ""


async def await_usage(services: Billing, watermark: datetime) -> None:
    """Return once every event accepted before `watermark` is counted.

    Raises: Unavailable when that takes longer than `usage_wait_seconds`.
    """
    try:
        async with asyncio.timeout(services.settings.usage_wait_seconds):
            while not await services.visibility.caught_up(watermark):  # noqa: ASYNC110 - Kafka's
                # offsets are asked for; they raise no event.
                await asyncio.sleep(_POLL.total_seconds())
    except TimeoutError:
        reason = f"events accepted before {watermark.isoformat()} are not counted yet"
        raise Unavailable("usage", reason) from None


async def bill_page(services: Billing, page: Page) -> PageDone:
    """Draft what is due, every elapsed period of every subscription of the page.

    Raises: Unavailable.
    """
    ids, after = await _waiting(services, page, BILL)
    moment = await _moment(services, page)
    tally, left = Tally(), ids

    async def bill(some: Sequence[str]) -> list[str]:
        nonlocal tally
        found = await subscriptions.due_for_billing(page.scope, some, page.at)
        # Many periods of few subscriptions make as large a step as few of many.
        most = max(1, services.settings.chunk_size // max(len(found), 1))
        outcome = await actions.bill(
            page.scope, found, services.clickhouse, moment=moment, most=most, by=SYSTEM
        )
        tally = tally.plus(Tally(drafted=len(outcome.drafted)))
        return sorted(outcome.moved)

    while left:
        left, refused = await _apart(left, bill)
        await _note(page, BILL, refused)
        tally = tally.plus(Tally(failed=len(refused)))
    return _done(page, tally, after)


async def finalize_page(services: Billing, page: Page) -> PageDone:
    """Issue the drafts whose wait is over, computed again if they waited.

    Raises: Unavailable.
    """
    ids, after = await _waiting(services, page, FINALIZE)
    moment = Moment(page.at, page.watermark)
    found = await reads.by_ids(page.scope, ids)
    waited = [key for key, invoice in found.items() if _waited(invoice)]

    async def compute(some: Sequence[str]) -> list[str]:
        drafts = [found[key] for key in some]
        computed = await actions.compute_many(
            page.scope, drafts, services.clickhouse, by=SYSTEM, moment=moment
        )
        return [invoice.id for invoice in computed]

    _, refused = await _apart(waited, compute)
    await _note(page, FINALIZE, refused)
    ready = [key for key in ids if key not in refused]

    async def issue(some: Sequence[str]) -> list[str]:
        issued = await actions.finalize_many(page.scope, some, by=SYSTEM, at=page.at)
        return [invoice.id for invoice in issued]

    issued, unnumbered = await _apart(ready, issue)
    await _note(page, FINALIZE, unnumbered)
    failed = len(refused) + len(unnumbered)
    return _done(page, Tally(finalized=len(issued), failed=failed), after)


async def print_page(services: Billing, page: Page) -> PageDone:
    """Store the PDFs of issued invoices. Raises: Unavailable."""
    ids, after = await _waiting(services, page, PRINT)

    async def print_pdfs(some: Sequence[str]) -> list[str]:
        return await actions.print_many(page.scope, some, services.storage, at=page.at)

    printed, refused = await _apart(ids, print_pdfs)
    await _note(page, PRINT, refused)
    return _done(page, Tally(printed=len(printed), failed=len(refused)), after)


def _done(page: Page, tally: Tally, after: str | None) -> PageDone:
    counts = {step: count for step, count in asdict(tally).items() if count}
    for step, count in counts.items():
        INVOICES.labels(step).inc(count)
    if counts:
        log.info("billing_page_done", environment=page.scope.environment_id, **counts)
    return PageDone(tally, after)


async def _waiting(services: Billing, page: Page, kind: str) -> tuple[list[str], str | None]:
    """The page's subjects, and where the next page begins."""
    limit = services.settings.chunk_size
    found = await due.waiting(page.scope, kind, at=page.at, limit=limit, after=page.after)
    ids = [each.subject_id for each in found]
    return ids, ids[-1] if len(ids) == limit else None


async def _moment(services: Billing, page: Page) -> Moment:
    wait = (await environments.settings(page.scope)).invoice.finalization_delay_seconds
    if wait is None:
        wait = services.settings.finalization_delay_seconds
    return Moment(page.at, page.watermark, timedelta(seconds=wait))


def _waited(invoice: Invoice) -> bool:
    """Whether events may have come since it was drafted."""
    asked = invoice.finalize_at or invoice.created_at
    return invoice.status is InvoiceStatus.DRAFT and asked > invoice.created_at


async def _apart(
    ids: Sequence[str], work: Callable[[Sequence[str]], Awaitable[list[str]]]
) -> tuple[list[str], dict[str, str]]:
    """Do the work for all at once; where that is refused, for ever fewer, down to the culprit.

    Returns what was done, and the reasons of what was refused. Raises: Unavailable.
    """
    if not ids:
        return [], {}
    try:
        return await work(ids), {}
    except Unavailable:
        raise
    except _REFUSALS as error:
        if len(ids) == 1:
            return [], {ids[0]: f"{type(error).__name__}: {error}"}
    middle = len(ids) // 2
    first, refused = await _apart(ids[:middle], work)
    second, also = await _apart(ids[middle:], work)
    return [*first, *second], {**refused, **also}


async def _note(page: Page, kind: str, refused: Mapping[str, str]) -> None:
    """Keep the reasons with the due work, which stays."""
    for subject, reason in refused.items():
        log.error("billing_refused", kind=kind, subject=subject, reason=reason)
        async with writing(page.scope):
            await due.failed(page.scope, kind, [subject], reason)
