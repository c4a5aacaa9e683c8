"""Changes of running subscriptions: asking for them, letting them take effect, taking them back.

What they cost is invoicing's business, which calls these inside the transaction that bills it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from app.catalog.price import Billing
from app.infra.postgres import writing
from app.kernel.copies import replace
from app.kernel.errors import DomainError
from app.kernel.events import Event
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.actions import change_rows, own_prices
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.actions.swapping import held_after, lines_of, swap_of
from app.subscriptions.actions.versions import version_to_change_to
from app.subscriptions.change import (
    ChangeMode,
    ChangePlan,
    Failure,
    Proration,
    SubscriptionChange,
    SubscriptionChangeStatus,
    Timing,
    What,
    kind_of,
    terms_of,
    what_of,
)
from app.subscriptions.changes.asking import check_alone, check_begun
from app.subscriptions.changes.lines import Swap
from app.subscriptions.changes.standing import unbilled
from app.subscriptions.changes.timing import effective, next_change
from app.subscriptions.errors import BillingIsBehind, NothingPending
from app.subscriptions.events import (
    SubscriptionChangeCanceled,
    SubscriptionChanged,
    SubscriptionChangeEvent,
    SubscriptionChangeFailed,
    SubscriptionChangeScheduled,
)
from app.subscriptions.periods import next_point
from app.subscriptions.services import is_in_advance
from app.subscriptions.subscription import OVER, FirstFee, LineItem, Subscription
from app.tenants import audit

_Status = SubscriptionChangeStatus
_FIRST_FEES = {
    Proration.CREATE_PRORATIONS: FirstFee.PRORATED,
    Proration.NONE: FirstFee.NONE,
    Proration.NEXT_INVOICE: FirstFee.NEXT_INVOICE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestChange:
    """A change to ask for."""

    subscription_id: str
    what: What
    timing: Timing = field(default_factory=Timing)
    proration: Proration = Proration.CREATE_PRORATIONS


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that has taken effect, the lines that ended with it, and whether the rest of the
    period is to be charged now: at a point of the subscription that is not billed yet."""

    change: SubscriptionChange
    closed: tuple[LineItem, ...]
    charges: bool


async def request(
    scope: Scope, wanted: RequestChange, *, waits: bool, by: Actor, at: datetime
) -> SubscriptionChange:
    """Note a change that is to take effect, checked as if it did so now.

    What is asked for now is left to whoever calls to `apply` in the same transaction, unless it
    `waits` for billing, which is behind, to do it.
    Raises: Invalid, NotFound, Archived, PlanNotPublished, and what `effective` and the lines of
    the change refuse; ChangedAtInstant.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, wanted.subscription_id)
        effective_at = effective(before, wanted.timing, at=at)
        what = wanted.what
        if isinstance(what, ChangePlan):
            what = await version_to_change_to(connection, scope, before, what)
        lines = await lines_of(scope, before.id)
        await swap_of(connection, scope, before, what, lines=lines, at=effective_at)
        coming = (await reads.scheduled_changes(scope, [before.id]))[before.id]
        check_alone(what, lines, coming, effective_at)
        wanted = replace(wanted, what=what)
        if wanted.timing.mode is not ChangeMode.NOW or waits:
            noted, _ = await schedule(
                scope, before, wanted, coming=coming, effective_at=effective_at, by=by, at=at
            )
            return noted
        return await _add(scope, _row(before, wanted, effective_at, at=at), by=by, at=at)


async def schedule(
    scope: Scope,
    before: Subscription,
    wanted: RequestChange,
    *,
    coming: Sequence[SubscriptionChange],
    effective_at: datetime,
    by: Actor,
    at: datetime,
) -> tuple[SubscriptionChange, Subscription]:
    """Note a change that is checked, beside the others that are coming, for when it takes effect;
    with the subscription that knows of it. Call inside `writing(scope)`."""
    change = await _add(scope, _row(before, wanted, effective_at, at=at), by=by, at=at)
    await change_rows.schedule(scope, change)
    after = replace(before, next_change_at=next_change(before, [*coming, change]))
    events = [_event(SubscriptionChangeScheduled, change, before, at=at)]
    action = "subscription.change_schedule"
    return change, await save(scope, before, after, events, action=action, by=by, at=at)


async def _add(
    scope: Scope, change: SubscriptionChange, *, by: Actor, at: datetime
) -> SubscriptionChange:
    await change_rows.add(scope, change)
    await audit.record(scope, by, "subscription_change.create", change.id, at=at, after=change)
    return change


async def apply(
    connection: asyncpg.Connection, scope: Scope, change_id: str, *, by: Actor, at: datetime
) -> Applied | None:
    """Let a change take effect; None where it did, or is not to come any more.

    One whose subscription is over is canceled. Call inside `writing(scope)`. Raises: NotFound,
    BillingIsBehind, and what the lines of the change refuse.
    """
    change = await change_rows.locked(connection, scope, change_id)
    if change.status is not _Status.SCHEDULED:
        return None
    before = (await reads.by_ids(scope, [change.subscription_id]))[change.subscription_id]
    effective_at = unbilled(before, change.effective_at)
    if before.status in OVER or before.status_at(effective_at) in OVER:
        await _end(scope, before, change, None, by=by, at=at)
        return None
    point = next_point(before)
    coming = (await reads.scheduled_changes(scope, [before.id]))[before.id]
    ahead = [next_change(before, coming), None if point is None else point.at]
    first = min((each for each in ahead if each is not None), default=change.effective_at)
    if first < change.effective_at:
        raise BillingIsBehind(before.id, first)
    lines = await lines_of(scope, before.id)
    what = what_of(change)
    # Of a phase that began before it was asked for, as of one that was bought so: what was then
    # in force.
    reference = max(change.created_at, effective_at)
    swap = await swap_of(
        connection, scope, before, what, lines=lines, at=effective_at, reference=reference
    )
    if change.mode is ChangeMode.PERIOD_END:
        check_begun(swap, effective_at)
    lot = (lines, swap.closed, swap.opened)
    await own_prices.store(scope, *lot, ends_at=effective_at, by=by, at=at)
    # Billed by the point itself, if it is one.
    whole = point is not None and point.at == effective_at
    applied = _applied(before, change, swap, effective_at, whole=whole, at=at)
    opened = _opened(applied.change, swap, whole=whole)
    await change_rows.swap_lines(scope, applied.closed, opened, ends_at=effective_at, at=at)
    after = await _without(scope, before, applied.change)
    if applied.charges:
        after = replace(after, changed_at=(*before.changed_at, effective_at))
    after = await held_after(
        scope, before, after, swap=swap, what=what, lines=lines, effective_at=effective_at, at=at
    )
    events = [_event(SubscriptionChanged, applied.change, after, at=at)]
    await save(scope, before, after, events, action="subscription.change", by=by, at=at)
    await _store(scope, change, applied.change, "apply", by=by, at=at)
    return applied


async def fail(
    scope: Scope, change_id: str, error: DomainError, *, by: Actor, at: datetime
) -> None:
    """Note why a change was refused when it came; the subscription stays as it is."""
    async with writing(scope) as connection:
        change = await change_rows.locked(connection, scope, change_id)
        if change.status is _Status.SCHEDULED:
            before = await reads.get(scope, change.subscription_id)
            failure = Failure(error.code, error.message)
            await _end(scope, before, change, failure, by=by, at=at)


async def take_back(scope: Scope, change_id: str, *, by: Actor, at: datetime) -> SubscriptionChange:
    """Take back a change that is still to come. Raises: NotFound, NothingPending."""
    async with writing(scope) as connection:
        change = await change_rows.locked(connection, scope, change_id)
        if change.status is not _Status.SCHEDULED:
            raise NothingPending(change.subscription_id, "such change", field="changeId")
        before = await reads.get(scope, change.subscription_id)
        return await _end(scope, before, change, None, by=by, at=at)


async def locked_change(
    connection: asyncpg.Connection, scope: Scope, change_id: str
) -> SubscriptionChange:
    """The change as it stays until the transaction ends, its subscription too. Raises: NotFound."""
    return await change_rows.locked(connection, scope, change_id)


async def note_money(
    scope: Scope,
    change: SubscriptionChange,
    *,
    invoice_id: str | None = None,
    credit_note_ids: Sequence[str] = (),
    at: datetime,
) -> SubscriptionChange:
    """Note which invoice and credit notes came of a change. Call inside `writing(scope)`, with
    its subscription locked."""
    after = replace(
        change,
        invoice_id=invoice_id or change.invoice_id,
        credit_note_ids=(*change.credit_note_ids, *credit_note_ids),
        updated_at=at,
    )
    await change_rows.write(scope, after)
    return after


async def _end(
    scope: Scope,
    before: Subscription,
    change: SubscriptionChange,
    failure: Failure | None,
    *,
    by: Actor,
    at: datetime,
) -> SubscriptionChange:
    """A change that was to come and does not, canceled where it did not fail; the subscription
    stays as it is."""
    ended = replace(change, status=_Status.CANCELED, canceled_at=at, updated_at=at)
    kind: type[SubscriptionChangeEvent] = SubscriptionChangeCanceled
    if failure is not None:
        ended = replace(change, status=_Status.FAILED, failure=failure, updated_at=at)
        kind = SubscriptionChangeFailed
    verb = "cancel" if failure is None else "fail"
    after = await _without(scope, before, change)
    events = [_event(kind, ended, before, at=at)]
    action = f"subscription.change_{verb}"
    await save(scope, before, after, events, action=action, by=by, at=at)
    await _store(scope, change, ended, verb, by=by, at=at)
    return ended


async def _without(
    scope: Scope, subscription: Subscription, change: SubscriptionChange
) -> Subscription:
    """The subscription with the next of the changes that come besides this one."""
    coming = (await reads.scheduled_changes(scope, [subscription.id]))[subscription.id]
    others = [each for each in coming if each.id != change.id]
    return replace(subscription, next_change_at=next_change(subscription, others))


def _row(
    subscription: Subscription, wanted: RequestChange, effective_at: datetime, *, at: datetime
) -> SubscriptionChange:
    return SubscriptionChange(
        id=new_id("schg"),
        subscription_id=subscription.id,
        customer_id=subscription.customer_id,
        kind=kind_of(wanted.what),
        status=_Status.SCHEDULED,
        mode=wanted.timing.mode,
        proration=wanted.proration,
        effective_at=effective_at,
        applied_at=None,
        canceled_at=None,
        failure=None,
        terms=terms_of(wanted.what),
        direction=None,
        closed_ids=(),
        opened_ids=(),
        invoice_id=None,
        credit_note_ids=(),
        created_at=at,
        updated_at=at,
    )


def _applied(
    before: Subscription,
    change: SubscriptionChange,
    swap: Swap,
    effective_at: datetime,
    *,
    whole: bool,
    at: datetime,
) -> Applied:
    """`whole`: it takes effect at a point of billing that is still to be billed."""
    served = effective_at > before.charged_from and before.paused_at(effective_at) is None
    asks = change.proration is Proration.CREATE_PRORATIONS
    # What is charged once is charged for when it is bought, whatever becomes of the others.
    charges = any(
        price.billing is Billing.ONE_TIME or (asks and is_in_advance(price))
        for _, price in swap.opened
    )
    done = replace(
        change,
        status=_Status.APPLIED,
        effective_at=effective_at,
        applied_at=at,
        direction=swap.direction(before.cadence),
        closed_ids=tuple(line.id for line, _ in swap.closed),
        opened_ids=tuple(line.id for line, _ in swap.opened),
        updated_at=at,
    )
    return Applied(done, tuple(line for line, _ in swap.closed), charges and served and not whole)


def _opened(change: SubscriptionChange, swap: Swap, *, whole: bool) -> list[LineItem]:
    first_fee = FirstFee.PRORATED if whole else _FIRST_FEES[change.proration]
    return [replace(line, first_fee=first_fee, change_id=change.id) for line, _ in swap.opened]


async def _store(
    scope: Scope,
    before: SubscriptionChange,
    after: SubscriptionChange,
    verb: str,
    *,
    by: Actor,
    at: datetime,
) -> None:
    await change_rows.write(scope, after)
    await change_rows.schedule(scope, after)
    action = f"subscription_change.{verb}"
    await audit.record(scope, by, action, after.id, at=at, before=before, after=after)


def _event(
    kind: type[SubscriptionChangeEvent],
    change: SubscriptionChange,
    subscription: Subscription,
    *,
    at: datetime,
) -> Event:
    return kind(
        **told(subscription),
        occurred_at=at,
        change_id=change.id,
        kind=change.kind.value,
        effective_at=change.effective_at,
    )
