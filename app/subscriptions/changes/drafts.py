"""A subscription that starts at another instant: what follows from the start, moved along. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.catalog.price import LONGEST_TRIAL_DAYS
from app.kernel import checks
from app.kernel.copies import replace
from app.subscriptions.buying import checked_trial, trial_end
from app.subscriptions.subscription import Subscription, Trial
from app.subscriptions.terms import anchor, check_backdating, check_end, within


def started(subscription: Subscription, starts_at: datetime, *, at: datetime) -> Subscription:
    """The subscription from `starts_at` on: a trial of so many days, and an anchor that was not
    named, move along. Raises: Invalid.
    """
    trial = subscription.trial
    if trial is not None and trial.days is not None:
        end = trial_end(starts_at, trial.days, subscription.timezone)
        trial = replace(trial, ends_at=end)
    if trial is not None:
        trial = checked_trial(trial, starts_at, subscription.ends_at)
        trial = replace(trial, told=trial.ends_at <= at)
    if subscription.ends_at is not None:
        check_end(subscription.ends_at, after=starts_at)
    moved = replace(subscription, starts_at=starts_at, trial=trial)
    if not moved.anchor_given:
        moved = replace(moved, anchor=moved.charged_from)
    check_backdating(moved.schedule, starts_at, at=at)
    return moved


def edited(subscription: Subscription, patch: Mapping[str, Any], *, at: datetime) -> Subscription:
    """A draft with another start, end, anchor or trial. Raises: Invalid."""
    changed = subscription
    if "ends_at" in patch:
        changed = replace(changed, ends_at=patch["ends_at"])
    if "anchor" in patch:
        given = anchor(patch["anchor"], changed.alignment)
        changed = replace(
            changed, anchor=given or changed.charged_from, anchor_given=given is not None
        )
    starts_at = changed.starts_at
    if "starts_at" in patch:
        given = patch["starts_at"]
        starts_at = within(given or at, "startsAt")
        changed = replace(changed, start_given=given is not None)
    return started(replace(changed, trial=_trial(changed, patch, starts_at)), starts_at, at=at)


def _trial(
    subscription: Subscription, patch: Mapping[str, Any], starts_at: datetime
) -> Trial | None:
    """The trial that the patch leaves: its end or its days may change, either None takes it off."""
    trial = subscription.trial
    if patch.get("trial_ends_at") is not None and patch.get("trial_days") is not None:
        raise checks.invalid("trialEndsAt", "name the end or the days of the trial, not both")
    bills = patch.get("bill_trial_usage")
    if bills is None:
        bills = trial is not None and trial.bills_usage
    if "trial_ends_at" in patch or "trial_days" in patch:
        end, days = patch.get("trial_ends_at"), patch.get("trial_days")
        if days is not None and not 0 <= days <= LONGEST_TRIAL_DAYS:
            raise checks.invalid("trialDays", f"{days} must lie between 0 and {LONGEST_TRIAL_DAYS}")
        if end is not None:
            trial = Trial(end)
        else:
            end = trial_end(starts_at, days, subscription.timezone) if days else None
            trial = None if end is None else Trial(end, days=days)
    return None if trial is None else replace(trial, bills_usage=bills)
