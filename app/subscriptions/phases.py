"""Phases of a subscription: what it has when, as it was agreed on beforehand. Pure.

A phase begins with a change of the kind PHASE, and lasts until the next one begins. What holds
before the first is what the subscription was bought with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.subscriptions.change import (
    ChangePlan,
    PhaseTerms,
    Proration,
    SubscriptionChange,
    phase_of,
)
from app.subscriptions.subscription import CancelMode, Subscription

MOST = 100


class PhasesEnd(StrEnum):
    """What becomes of the subscription when its last phase ends."""

    CONTINUE = "continue"
    """It goes on as in that phase."""
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """From `starts_at` until `ends_at` (exclusive), both aware; `ends_at` None: until the next
    one begins, or of the last one open. `what.phase` says its commitments; its end is set here."""

    starts_at: datetime
    what: ChangePlan
    ends_at: datetime | None = None
    proration: Proration = Proration.CREATE_PRORATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPhases:
    """The phases that are to come, instead of all that were; none: what is in force goes on."""

    subscription_id: str
    phases: tuple[Phase, ...] = ()
    at_end: PhasesEnd = PhasesEnd.CONTINUE


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase with the change that it begins, or is to begin, with. `ends_at` None: open."""

    change: SubscriptionChange
    ends_at: datetime | None


def arranged(command: SetPhases) -> tuple[Phase, ...]:
    """The phases, each with what it has besides its plan, if each begins where the one before
    ends. Raises: Invalid (INVALID_PHASES, REQUIRED)."""
    phases = command.phases
    if len(phases) > MOST:
        raise _refused("phases", f"at most {MOST} can be to come", "INVALID_PHASES")
    for index, phase in enumerate(phases):
        _check_end(phase, f"phases[{index}].endsAt")
    for index, (one, other) in enumerate(pairwise(phases), start=1):
        if one.starts_at >= other.starts_at or one.ends_at not in (None, other.starts_at):
            raise _refused(
                f"phases[{index}].startsAt",
                f"{other.starts_at.isoformat()} must be where the phase before ends, and after "
                "its start",
                "INVALID_PHASES",
            )
    cancels = command.at_end is PhasesEnd.CANCEL
    if cancels and (not phases or phases[-1].ends_at is None):
        field = f"phases[{len(phases) - 1}].endsAt" if phases else "phases"
        raise _refused(field, "say when the last phase ends and all is canceled", "REQUIRED")
    return tuple(_ended(each, last=each is phases[-1], cancels=cancels) for each in phases)


def spans(subscription: Subscription, rows: Iterable[SubscriptionChange]) -> list[PhaseSpan]:
    """The phases that begin, or are to, with these changes, in their order."""
    ordered = sorted(rows, key=lambda row: (row.effective_at, row.id))
    ends = [row.effective_at for row in ordered[1:]]
    ends_at = [*ends, *(_last_end(subscription, row) for row in ordered[-1:])]
    return [PhaseSpan(row, end) for row, end in zip(ordered, ends_at, strict=True)]


def canceled_by(subscription: Subscription, rows: Sequence[SubscriptionChange]) -> bool:
    """Whether the subscription is to be canceled because its last phase ends then."""
    canceled = subscription.cancellation
    if canceled is None or canceled.mode is not CancelMode.AT:
        return False
    terms = [phase_of(row.terms) for row in rows]
    agreed = {each.ends_at for each in terms if each is not None and each.cancels}
    return subscription.ends_at in agreed


def _check_end(phase: Phase, field: str) -> None:
    if phase.ends_at is not None and phase.ends_at <= phase.starts_at:
        start = phase.starts_at.isoformat()
        raise _refused(field, f"must lie after the phase's start, {start}", "INVALID_PHASES")


def _ended(phase: Phase, *, last: bool, cancels: bool) -> Phase:
    terms = phase.what.phase or PhaseTerms()
    if last:
        terms = replace(terms, ends_at=phase.ends_at, cancels=cancels)
    return replace(phase, what=replace(phase.what, phase=terms))


def _last_end(subscription: Subscription, row: SubscriptionChange) -> datetime | None:
    """Of one that was to end with the subscription: when that does end."""
    terms = phase_of(row.terms) or PhaseTerms()
    return subscription.ends_at if terms.cancels else terms.ends_at


def _refused(field: str, why: str, code: str) -> Invalid:
    return Invalid(f"{field}: {why}", field=field, code=code)
