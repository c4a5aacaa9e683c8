"""Agreeing on the phases of a subscription, and on others instead."""

from datetime import datetime

import asyncpg

from app.infra.postgres import writing
from app.kernel.checks import placed
from app.kernel.copies import replace
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads
from app.subscriptions.actions.cancel import cancel, uncancel
from app.subscriptions.actions.changing import RequestChange, schedule, take_back
from app.subscriptions.actions.rows import locked
from app.subscriptions.actions.swapping import committed_in, lines_of, swap_of
from app.subscriptions.actions.versions import version_of_phase
from app.subscriptions.change import (
    ChangeMode,
    PhaseTerms,
    SubscriptionChange,
    SubscriptionChangeStatus,
    Timing,
)
from app.subscriptions.changes.asking import check_alone
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.lines import Priced, swapped
from app.subscriptions.changes.standing import running
from app.subscriptions.changes.timing import effective
from app.subscriptions.phases import Phase, PhasesEnd, SetPhases, arranged, canceled_by
from app.subscriptions.subscription import CancelMode, Subscription

_SCHEDULED = SubscriptionChangeStatus.SCHEDULED


async def set_phases(
    scope: Scope,
    command: SetPhases,
    *,
    by: Actor,
    at: datetime,
    since: datetime | None = None,
) -> list[SubscriptionChange]:
    """The changes that the phases begin with, of a subscription that has no others to come.

    Each is checked as if those before it had begun. They lie after `since`: after now (None), or
    for a subscription that has only just been created, after its start. The cancellation with
    which the former phases were to end is taken back.
    Raises: Invalid, NotFound, Archived, PlanNotPublished, SubscriptionIsDraft,
    SubscriptionIsOver, SubscriptionHasNotStarted, EndsBefore, ChangedAtInstant,
    CancellationIsPending, AlreadyBilled, PeriodHasNoEnd, NothingChanges; each names the phase at
    fault.
    """
    phases = arranged(command)
    async with writing(scope) as connection:
        subscription = await locked(connection, scope, command.subscription_id)
        running(subscription, at if since is None else since)
        await _clear(scope, subscription, by=by, at=at)
        subscription = await reads.get(scope, subscription.id)
        made = await _schedule(connection, scope, subscription, phases, by=by, at=at, since=since)
        if command.at_end is PhasesEnd.CANCEL:
            last = len(phases) - 1
            with placed(f"phases[{last}]", {"at": f"phases[{last}].endsAt", "mode": "phasesEnd"}):
                over = CancelSubscription(mode=CancelMode.AT, at=phases[last].ends_at)
                await cancel(scope, subscription.id, over, by=by, at=at)
    return made


async def _clear(scope: Scope, subscription: Subscription, *, by: Actor, at: datetime) -> None:
    """Take back the phases to come, and the cancellation that they were to end with."""
    found = (await reads.phases(scope, [subscription.id]))[subscription.id]
    if canceled_by(subscription, found):
        await uncancel(scope, subscription.id, by=by, at=at)
    for change in found:
        if change.status is _SCHEDULED:
            await take_back(scope, change.id, by=by, at=at)


async def _schedule(
    connection: asyncpg.Connection,
    scope: Scope,
    subscription: Subscription,
    phases: tuple[Phase, ...],
    *,
    by: Actor,
    at: datetime,
    since: datetime | None,
) -> list[SubscriptionChange]:
    coming = (await reads.scheduled_changes(scope, [subscription.id]))[subscription.id]
    # As it would be by then.
    lines, then = await lines_of(scope, subscription.id), subscription
    made: list[SubscriptionChange] = []
    for index, phase in enumerate(phases):
        start_field = f"phases[{index}].startsAt"
        with placed(f"phases[{index}]", {"at": start_field, "mode": start_field}):
            timing = Timing(mode=ChangeMode.AT, at=phase.starts_at)
            start = effective(subscription, timing, at=at if since is None else since)
            what = await version_of_phase(connection, scope, then, phase.what)
            phase = replace(phase, what=what)
            check_alone(what, lines, coming, start)
            lines, then = await _begun(connection, scope, then, phase, lines=lines, at=at)
        wanted = RequestChange(
            subscription_id=subscription.id, what=what, timing=timing, proration=phase.proration
        )
        change, subscription = await schedule(
            scope, subscription, wanted, coming=coming, effective_at=start, by=by, at=at
        )
        coming = [*coming, change]
        made.append(change)
    return made


async def _begun(
    connection: asyncpg.Connection,
    scope: Scope,
    before: Subscription,
    phase: Phase,
    *,
    lines: list[Priced],
    at: datetime,
) -> tuple[list[Priced], Subscription]:
    """The lines and the subscription once a phase has begun; nothing is stored."""
    start, what = phase.starts_at, phase.what
    swap = await swap_of(
        connection, scope, before, what, lines=lines, at=start, reference=max(at, start)
    )
    promised = committed_in(before, what.phase or PhaseTerms(), swap, lines, at=start)
    after = replace(
        before,
        plan_id=what.plan_id or before.plan_id,
        plan_version_id=what.plan_version_id or before.plan_version_id,
        commitments=promised,
    )
    return swapped(lines, swap, at=start), after
