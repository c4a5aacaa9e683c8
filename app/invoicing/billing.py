"""What invoicing does of a run: pages of subscriptions to bill, drafts to issue, PDFs to print."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from prometheus_client import Counter

from app import config
from app.infra import due
from app.infra.clickhouse import ClickHouse
from app.infra.due import Page, PageDone, Tally
from app.infra.s3 import Storage
from app.invoicing import actions, reads
from app.invoicing.drafts import Moment
from app.invoicing.errors import NumberTaken
from app.invoicing.work import BILL, CHANGE, CREDIT, FINALIZE, MIGRATE, PRINT, THRESHOLD
from app.kernel.clock import Clock
from app.kernel.copies import replace
from app.kernel.errors import DomainError, Unavailable
from app.kernel.scope import SYSTEM
from app.subscriptions import reads as subscriptions
from app.subscriptions.actions import watch_again
from app.subscriptions.actions.changing import fail
from app.subscriptions.errors import BillingIsBehind
from app.tenants.reads import environments

log = structlog.get_logger(__name__)

INVOICES = Counter("tariff_invoices_total", "What billing runs did with invoices.", ["step"])

# PDFs of a page: what takes a second each is not to be lost by the thousand where a worker dies.
_PRINTED = 100
# Between two looks at how far the consumers have come.
_POLL = timedelta(milliseconds=250)


class Visibility(Protocol):
    """How far accepted events have come on their way to being counted."""

    async def take(self) -> datetime:
        """An instant that cuts the log of events in two, for good. Raises: Unavailable."""
        ...

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


async def await_usage(services: Billing, watermark: datetime) -> None:
    """Return once every event accepted before `watermark` is counted.

    Raises: Unavailable when that takes longer than `usage_wait_seconds`.
    """
    wait = timedelta(seconds=services.settings.usage_wait_seconds)
    await caught_up(services.visibility, watermark, wait)


async def caught_up(visibility: Visibility, watermark: datetime, wait: timedelta) -> None:
    """Return once every event accepted before `watermark` is counted.

    Raises: Unavailable when that takes longer than `wait`.
    """
    try:
        async with asyncio.timeout(wait.total_seconds()):
            while not await visibility.caught_up(watermark):  # noqa: ASYNC110 - Kafka's
                # offsets are asked for; they raise no event.
                await asyncio.sleep(_POLL.total_seconds())
    except TimeoutError:
        reason = f"events accepted before {watermark.isoformat()} are not counted yet"
        raise Unavailable("usage", reason) from None


async def bill_page(services: Billing, page: Page) -> PageDone:
    """Draft what is due, every elapsed period of every subscription of the page; issue what waits
    for nothing.

    Raises: Unavailable.
    """
    ids, after = await due.take(page, BILL)
    moment = await _moment(services, page)
    tally, left = Tally(), ids

    async def bill(some: Sequence[str]) -> list[str]:
        found = await subscriptions.billable(page.scope, some)
        # Many periods of few subscriptions make as large a step as few of many.
        most = max(1, page.limit // max(len(found), 1))
        work = partial(
            actions.bill,
            page.scope,
            found,
            services.clickhouse,
            moment=moment,
            most=most,
            by=SYSTEM,
        )
        try:
            outcome = await work(issues=True)
        except NumberTaken:  # as drafts then: issuing those says what is in its way
            outcome = await work()
        tally["drafted"] += len(outcome.drafted)
        tally["finalized"] += len(outcome.issued)
        return sorted(outcome.behind)

    while left:
        left, refused = await due.apart(left, bill)
        await due.note(page, BILL, refused)
        tally["failed"] += len(refused)
    return _done(page, tally, after)


async def threshold_page(services: Billing, page: Page) -> PageDone:
    """Bill the usage so far of those whose threshold it has come to; look again after a while.

    It does not wait for late events: those are in what the period still owes when it ends.
    Raises: Unavailable.
    """
    ids, after = await due.take(page, THRESHOLD)
    moment = Moment(page.at, page.watermark)
    tally = Tally()

    async def check(some: Sequence[str]) -> list[str]:
        found = await subscriptions.billable(page.scope, some)
        outcome = await actions.bill_thresholds(
            page.scope, found, services.clickhouse, moment=moment, by=SYSTEM
        )
        tally["drafted"] += len(outcome.drafted)
        return list(some)

    checked, refused = await due.apart(ids, check)
    await due.note(page, THRESHOLD, refused)
    tally["failed"] += len(refused)
    if checked:
        interval = timedelta(seconds=services.settings.threshold_interval_seconds)
        await watch_again(page.scope, checked, at=page.at, later=page.at + interval)
    return _done(page, tally, after)


async def change_page(services: Billing, page: Page) -> PageDone:
    """Let changes take effect that have come, in their order, once what falls due before each is
    billed. One that is refused fails for good, and all is as it was. Raises: Unavailable.
    """
    ids, after = await due.take(page, CHANGE)
    moment = await _moment(services, page)

    async def apply(some: Sequence[str]) -> list[str]:
        for change_id in some:
            await _apply(services, page, change_id, moment)
        return list(some)

    applied: list[str] = []
    refused: dict[str, str] = {}
    for change_id in ids:
        done, failed = await due.apart([change_id], apply)
        applied, refused = [*applied, *done], refused | failed
    await due.note(page, CHANGE, refused)
    return _done(page, Tally(changed=len(applied), failed=len(refused)), after)


async def _apply(services: Billing, page: Page, change_id: str, moment: Moment) -> None:
    found = (await subscriptions.changes_by_ids(page.scope, [change_id])).get(change_id)
    ids = [] if found is None else [found.subscription_id]
    moved = True
    while moved and (left := await subscriptions.due_for_billing(page.scope, ids, page.at)):
        outcome = await actions.bill(
            page.scope, left, services.clickhouse, moment=moment, most=page.limit, by=SYSTEM
        )
        moved = bool(outcome.moved)
    try:
        await actions.apply_due(page.scope, change_id, by=SYSTEM, at=page.at)
    except BillingIsBehind:
        raise  # somebody else is on it
    except DomainError as error:
        await fail(page.scope, change_id, error, by=SYSTEM, at=page.at)


async def migrate_page(services: Billing, page: Page) -> PageDone:
    """Give the subscriptions of bulk migrations their turns. Raises: Unavailable."""

    async def migrate(some: Sequence[str]) -> list[str]:
        return await actions.migrate_many(
            page.scope, some, services.clickhouse, by=SYSTEM, at=page.at
        )

    done = await due.do_page(page, MIGRATE, "migrated", migrate)
    return _done(page, done.tally, done.after)


async def credit_page(services: Billing, page: Page) -> PageDone:
    """Give back what changes left unused of invoices that are issued by now."""

    async def credit(some: Sequence[str]) -> list[str]:
        return await actions.credit_many(page.scope, list(some), by=SYSTEM, at=page.at)

    done = await due.do_page(page, CREDIT, "credited", credit)
    return _done(page, done.tally, done.after)


async def finalize_page(services: Billing, page: Page) -> PageDone:
    """Issue the drafts whose wait is over, computed again if they waited.

    Raises: Unavailable.
    """
    ids, after = await due.take(page, FINALIZE)
    moment = Moment(page.at, page.watermark)
    taken = await reads.waiting(page.scope, ids)
    # What becomes one invoice may be due on several pages.
    found, parts = await actions.with_siblings(page.scope, taken, at=page.at)
    waited = [each.id for each in found if each.waited]

    async def compute(some: Sequence[str]) -> list[str]:
        drafts = (await reads.by_ids(page.scope, some)).values()
        computed = await actions.compute_many(
            page.scope, drafts, services.clickhouse, by=SYSTEM, moment=moment
        )
        return [invoice.id for invoice in computed]

    _, refused = await due.apart(waited, compute)
    await due.note(page, FINALIZE, refused)
    ready = {part[0]: [key for key in part if key not in refused] for part in parts}

    async def issue(some: Sequence[str]) -> list[str]:
        drafts = [key for first in some for key in ready[first]]
        issued = await actions.finalize_many(
            page.scope, drafts, by=SYSTEM, at=page.at, consolidates=True
        )
        return [invoice.id for invoice in issued]

    issued, stopped = await due.apart([first for first, part in ready.items() if part], issue)
    unnumbered = {key: reason for first, reason in stopped.items() for key in ready[first]}
    await due.note(page, FINALIZE, unnumbered)
    failed = len(refused) + len(unnumbered)
    return _done(page, Tally(finalized=len(issued), failed=failed), after)


async def print_page(services: Billing, page: Page) -> PageDone:
    """Store the PDFs of issued invoices. Raises: Unavailable."""

    async def print_pdfs(some: Sequence[str]) -> list[str]:
        return await actions.print_many(page.scope, some, services.storage, at=page.at)

    few = replace(page, limit=min(page.limit, _PRINTED))
    done = await due.do_page(few, PRINT, "printed", print_pdfs)
    return _done(page, done.tally, done.after)


def _done(page: Page, tally: Tally, after: str | None) -> PageDone:
    counts = +tally
    for step, count in counts.items():
        INVOICES.labels(step).inc(count)
    if counts:
        log.info("billing_page_done", environment=page.scope.environment_id, **counts)
    return PageDone(counts, after)


async def _moment(services: Billing, page: Page) -> Moment:
    settings = (await environments.settings(page.scope)).invoice
    wait = settings.finalization_delay_seconds
    if wait is None:
        wait = services.settings.finalization_delay_seconds
    skips = settings.zero_invoices == "skip"
    return Moment(page.at, page.watermark, timedelta(seconds=wait), skips)
