"""What keeps a change that is asked for, or comes, from being made. Pure."""

from collections.abc import Sequence
from datetime import datetime

from app.subscriptions.change import SubscriptionChange, What, what_of
from app.subscriptions.changes.lines import Priced, Swap, concerned
from app.subscriptions.errors import ChangedAtInstant, NothingChanges
from app.subscriptions.subscription import Subscription


def check_other(subscription: Subscription, version_id: str | None, field: str) -> None:
    """Raises: NothingChanges where the subscription is on that version already."""
    if version_id == subscription.plan_version_id:
        raise NothingChanges(f"the subscription is on plan version {version_id}", field)


def check_begun(swap: Swap, at: datetime) -> None:
    """Raises: ChangedAtInstant where a line that would end has only begun with another change,
    which the period's end has moved to the instant of."""
    for line, _ in swap.closed:
        if line.change_id is not None and line.starts_at == at:
            raise ChangedAtInstant(line.change_id, at, "at")


def check_alone(
    what: What, lines: Sequence[Priced], coming: Sequence[SubscriptionChange], at: datetime
) -> None:
    """Raises: ChangedAtInstant where another change at `at` concerns the same lines."""
    mine = concerned(what, lines)
    for other in coming:
        if other.effective_at == at and mine & concerned(what_of(other), lines):
            raise ChangedAtInstant(other.id, at, "at")
