"""What is to come for a subscription, in order: its scheduled changes. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.subscriptions.change import SubscriptionChange, SubscriptionChangeKind
from app.subscriptions.changes.timing import comes_at
from app.subscriptions.subscription import OVER, Subscription, SubscriptionStatus


class ChangeKind(StrEnum):
    START = "start"
    TRIAL_END = "trial_end"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    END = "end"
    """It was created with this end, or got it later; update `endsAt` to change it."""
    QUANTITY = "quantity"
    PRICE = "price"
    ADDON_ATTACH = "addon_attach"
    ADDON_DETACH = "addon_detach"
    ADDON_QUANTITY = "addon_quantity"
    PLAN = "plan"
    PHASE = "phase"
    COMMITMENTS = "commitments"
    """Other commitments begin to hold, or none; update `commitments` to change it."""


# The kinds that are rows of their own, each with an id.
OF_ROWS = {kind.value: ChangeKind(kind.value) for kind in SubscriptionChangeKind}


@dataclass(frozen=True, slots=True)
class Change:
    """`cancelable`: whether it can be taken back by `cancel_change`. `change_id` names the row
    of a change of its lines."""

    kind: ChangeKind
    at: datetime
    cancelable: bool
    change_id: str | None = None


def pending(
    subscription: Subscription, at: datetime, rows: Iterable[SubscriptionChange] = ()
) -> list[Change]:
    """The changes that are still to come at `at`, the next one first.

    `rows` are its scheduled changes of lines; one whose period has no end, for a pause that has
    none, is left out until it has.
    """
    if subscription.status in OVER or subscription.status is SubscriptionStatus.DRAFT:
        return []
    found = [Change(ChangeKind.START, subscription.starts_at, cancelable=False)]
    trial = subscription.trial
    if trial is not None:
        planned = trial.planned_end is not None and trial.planned_end > at
        found.append(Change(ChangeKind.TRIAL_END, trial.ends_at, cancelable=planned))
    for pause in subscription.pauses:
        found.append(Change(ChangeKind.PAUSE, pause.starts_at, cancelable=True))
        if pause.ends_at is not None:
            found.append(Change(ChangeKind.RESUME, pause.ends_at, cancelable=True))
    if subscription.ends_at is not None:
        canceled = subscription.cancellation is not None
        kind = ChangeKind.CANCEL if canceled else ChangeKind.END
        found.append(Change(kind, subscription.ends_at, cancelable=canceled))
    held = subscription.commitments
    instants = {instant for each in held for instant in (each.starts_at, each.ends_at)}
    found += [
        Change(ChangeKind.COMMITMENTS, instant, cancelable=False)
        for instant in instants
        if instant is not None
    ]
    coming = [change for change in found if change.at > at]
    coming += [
        Change(OF_ROWS[row.kind.value], comes, cancelable=True, change_id=row.id)
        for row in rows
        if (comes := comes_at(subscription, row)) is not None
    ]
    return sorted(coming, key=lambda change: change.at)
