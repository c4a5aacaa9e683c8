from datetime import datetime

from app.infra.postgres import writing
from app.kernel.events import Event
from app.kernel.scope import Actor, Scope
from app.subscriptions.actions.following import followed
from app.subscriptions.actions.rows import locked, save, told
from app.subscriptions.changes.trials import trial_ending
from app.subscriptions.events import SubscriptionTrialEnded, SubscriptionUpdated
from app.subscriptions.subscription import Subscription


async def set_trial_end(
    scope: Scope, subscription_id: str, ends_at: datetime | None, *, by: Actor, at: datetime
) -> Subscription:
    """Let the trial end at another instant, or now where `ends_at` is None.

    It must not be over. Charging starts when it ends; an anchor that was not named moves along.
    Raises: Invalid, NotFound, SubscriptionIsOver, SubscriptionIsDraft, SubscriptionIsNotTrialing.
    """
    async with writing(scope) as connection:
        before = await locked(connection, scope, subscription_id)
        after = trial_ending(before, ends_at, at=at)
        after, moved = await followed(scope, after, by=by, at=at)
        now = after.trial is not None and after.trial.told
        kind = SubscriptionTrialEnded if now else SubscriptionUpdated
        events: list[Event] = [kind(**told(after), occurred_at=at), *moved]
        return await save(
            scope, before, after, events, action="subscription.set_trial_end", by=by, at=at
        )
