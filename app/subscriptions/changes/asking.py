"""What a change that is asked for would do, and whether it may. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.catalog.price import Price
from app.subscriptions.change import ChangePlan, SubscriptionChange, What, what_of
from app.subscriptions.changes.lines import Priced, Swap, replanned, requantified
from app.subscriptions.errors import ChangedAtInstant, NothingChanges
from app.subscriptions.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Holdings:
    """What decides of a change, besides the subscription.

    `lines` are all that it ever had, `offered` every price of the version to go over to (none
    where the plan stays), `coming` the changes that are scheduled already.
    """

    lines: Sequence[Priced]
    offered: Sequence[Price] = ()
    coming: Sequence[SubscriptionChange] = ()


def foreseen(subscription: Subscription, holdings: Holdings, what: What, *, at: datetime) -> Swap:
    """The swap of lines of a change that takes effect at `at`, beside those that are to come.

    Raises: as `swapped`, and ChangedAtInstant.
    """
    swap = swapped(subscription, holdings, what, at=at)
    _check_alone(what, holdings, at)
    return swap


def swapped(subscription: Subscription, holdings: Holdings, what: What, *, at: datetime) -> Swap:
    """Raises: NothingChanges, and what the lines of the change refuse."""
    if isinstance(what, ChangePlan):
        check_other(subscription, what.plan_version_id, "planVersionId")
        offered = [price for price in holdings.offered if price.in_force(at)]
        return replanned(subscription, holdings.lines, offered, what, at=at)
    return requantified(holdings.lines, what, at=at)


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


def _check_alone(what: What, holdings: Holdings, at: datetime) -> None:
    """Raises: ChangedAtInstant where another change at `at` concerns the same lines."""
    keys = {line.id: line.line_key for line, _ in holdings.lines}
    for other in holdings.coming:
        both = (what, what_of(other))
        of = [None if isinstance(w, ChangePlan) else keys.get(w.line_item_id) for w in both]
        if other.effective_at == at and (None in of or of[0] == of[1]):
            raise ChangedAtInstant(other.id, at, "at")
