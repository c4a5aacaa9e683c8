"""What can be wrong with a subscription.

DomainError
├── Invalid            INVALID_CURRENCY, CURRENCY_REQUIRED, INVALID_TIMEZONE, INVALID_METADATA,
│                      INVALID_CADENCE, INVALID_ANCHOR, INVALID_STARTS_AT, BACKDATED_TOO_FAR,
│                      INVALID_ENDS_AT, INVALID_QUANTITIES, INVALID_PRICE_IDS, CADENCE_MISMATCH,
│                      INVALID_OVERRIDES, NO_MATCHING_PRICE, INVALID_TRIAL_DAYS,
│                      INVALID_TRIAL_ENDS_AT, TRIALS_DISAGREE, INVALID_NET_DAYS,
│                      INVALID_PURCHASE_ORDER, INVALID_AT, INVALID_RESUMES_AT,
│                      INVALID_COMMENT, INVALID_REASON, INVALID_COMMITMENT,
│                      INVALID_COMMITMENTS, DUPLICATE_COMMITMENT, COMMITMENT_NOT_APPLICABLE,
│                      INVALID_COMMITMENT_DURATION, INVALID_PHASES,
│                      INVALID_OVERAGE_FACTOR, INVALID_BEHAVIOUR, CURRENCY_MISMATCH, WRONG_PLAN,
│                      REQUIRED, UNKNOWN_FIELD; of numbers: NOT_FINITE, NOT_POSITIVE,
│                      NEGATIVE_AMOUNT, TOO_MANY_DIGITS
├── NotFound           NOT_FOUND (subscription, customer, plan, plan version, line, change,
│                      migration)
└── Conflict
    ├── CUSTOMER_ARCHIVED, PLAN_ARCHIVED, PLAN_NOT_PUBLISHED
    ├── WrongStatus
    │   ├── SubscriptionIsOver        SUBSCRIPTION_OVER
    │   ├── SubscriptionIsDraft       SUBSCRIPTION_DRAFT
    │   ├── SubscriptionIsNotDraft    SUBSCRIPTION_NOT_DRAFT
    │   ├── SubscriptionHasNotStarted SUBSCRIPTION_NOT_STARTED
    │   ├── SubscriptionIsTrialing    SUBSCRIPTION_TRIALING
    │   ├── SubscriptionIsNotTrialing SUBSCRIPTION_NOT_TRIALING
    │   ├── SubscriptionIsPaused      SUBSCRIPTION_PAUSED
    │   └── SubscriptionIsNotPaused   SUBSCRIPTION_NOT_PAUSED
    ├── CancellationIsPending         CANCELLATION_PENDING
    ├── PauseIsPending                PAUSE_PENDING
    ├── NothingPending                NOTHING_PENDING
    ├── PeriodHasNoEnd                PERIOD_HAS_NO_END
    ├── AlreadyBilled                 ALREADY_BILLED
    ├── EndsBefore                    SUBSCRIPTION_ENDS_BEFORE
    ├── ChangedAtInstant              CHANGED_AT_INSTANT
    ├── NothingChanges                NOTHING_CHANGES
    ├── LineHasNoQuantity             LINE_WITHOUT_QUANTITY
    ├── AddonIsAttached               ADDON_ATTACHED
    ├── AddonIsNotHeld                ADDON_NOT_HELD
    ├── LineIsChargedOnce             LINE_CHARGED_ONCE
    ├── LineHasEnded                  LINE_ENDED
    ├── BillingIsBehind               BILLING_BEHIND
    ├── NothingToMigrate              NOTHING_TO_MIGRATE
    ├── TooManyToMigrate              TOO_MANY_SUBSCRIPTIONS
    └── MigrationIsOver               MIGRATION_OVER
"""

from datetime import datetime

from app.kernel.errors import Conflict


class WrongStatus(Conflict):
    """The verb is not for a subscription in this status."""

    why = ""

    def __init__(self, subscription_id: str, status: str, *, field: str = "id") -> None:
        super().__init__(f"subscription {subscription_id} is {status}; {self.why}", field=field)
        self.subscription_id, self.status = subscription_id, status


class SubscriptionIsOver(WrongStatus):
    """Canceled or ended: nothing of it changes but its metadata."""

    code = "SUBSCRIPTION_OVER"
    why = "only its metadata can still be changed"


class SubscriptionIsDraft(WrongStatus):
    code = "SUBSCRIPTION_DRAFT"
    why = "activate it first"


class SubscriptionIsNotDraft(WrongStatus):
    code = "SUBSCRIPTION_NOT_DRAFT"
    why = "only a draft can be"


class SubscriptionHasNotStarted(WrongStatus):
    code = "SUBSCRIPTION_NOT_STARTED"
    why = "name an instant after its start"


class SubscriptionIsTrialing(WrongStatus):
    code = "SUBSCRIPTION_TRIALING"
    why = "name an instant after its trial, or end the trial first"


class SubscriptionIsNotTrialing(WrongStatus):
    code = "SUBSCRIPTION_NOT_TRIALING"
    why = "it has no trial that is still to end"


class SubscriptionIsPaused(WrongStatus):
    code = "SUBSCRIPTION_PAUSED"
    why = "resume it first, or name an instant after the pause"


class SubscriptionIsNotPaused(WrongStatus):
    code = "SUBSCRIPTION_NOT_PAUSED"
    why = "there is nothing to resume"


class CancellationIsPending(Conflict):
    code = "CANCELLATION_PENDING"

    def __init__(self, subscription_id: str, field: str) -> None:
        super().__init__(
            f"subscription {subscription_id} is to be canceled already; take that back first, or "
            "cancel it now",
            field=field,
        )
        self.subscription_id = subscription_id


class PauseIsPending(Conflict):
    """One pause at a time: another is under way or to come."""

    code = "PAUSE_PENDING"

    def __init__(self, subscription_id: str, pause_id: str) -> None:
        super().__init__(
            f"pause {pause_id} of subscription {subscription_id} is not over; resume it or take "
            "it back first",
            field="id",
        )
        self.subscription_id, self.pause_id = subscription_id, pause_id


class NothingPending(Conflict):
    """There is no such change to come."""

    code = "NOTHING_PENDING"

    def __init__(self, subscription_id: str, what: str, *, field: str = "id") -> None:
        super().__init__(f"subscription {subscription_id} has no {what} to come", field=field)
        self.subscription_id, self.what = subscription_id, what


class PeriodHasNoEnd(Conflict):
    """While a pause that extends the period lasts, nobody knows when the period ends."""

    code = "PERIOD_HAS_NO_END"

    def __init__(self, subscription_id: str, field: str) -> None:
        super().__init__(
            f"the period of subscription {subscription_id} ends later by a pause that is not over; "
            "resume it first, or name an instant",
            field=field,
        )
        self.subscription_id = subscription_id


class AlreadyBilled(Conflict):
    """It would change what was billed."""

    code = "ALREADY_BILLED"

    def __init__(self, subscription_id: str, until: datetime, field: str) -> None:
        super().__init__(
            f"{field}: subscription {subscription_id} is billed until {until.isoformat()}, which "
            "this would change",
            field=field,
        )
        self.subscription_id, self.until = subscription_id, until


class EndsBefore(Conflict):
    """The subscription is over when the change would take effect."""

    code = "SUBSCRIPTION_ENDS_BEFORE"

    def __init__(self, subscription_id: str, ends_at: datetime, field: str) -> None:
        super().__init__(
            f"subscription {subscription_id} ends at {ends_at.isoformat()}, before that would take "
            "effect",
            field=field,
        )
        self.subscription_id, self.ends_at = subscription_id, ends_at


class ChangedAtInstant(Conflict):
    """Another change concerns the same at that very instant."""

    code = "CHANGED_AT_INSTANT"

    def __init__(self, change_id: str, at: datetime, field: str) -> None:
        super().__init__(
            f"change {change_id} takes effect at {at.isoformat()}, too; take it back first, or "
            "name another instant",
            field=field,
        )
        self.change_id, self.at = change_id, at


class NothingChanges(Conflict):
    """All is already as it is asked to be."""

    code = "NOTHING_CHANGES"

    def __init__(self, what: str, field: str) -> None:
        super().__init__(f"{field}: {what} already", field=field)


class LineHasNoQuantity(Conflict):
    """Nothing is held of usage, and what is charged once was charged for what was held."""

    code = "LINE_WITHOUT_QUANTITY"

    def __init__(self, line_item_id: str, why: str) -> None:
        super().__init__(
            f"line {line_item_id} {why}, so no quantity of it can change", field="lineItemId"
        )
        self.line_item_id = line_item_id


class AddonIsAttached(Conflict):
    """It charges for usage, which is counted once for the subscription."""

    code = "ADDON_ATTACHED"

    def __init__(self, addon_id: str, holding_id: str) -> None:
        super().__init__(
            f"addon {addon_id} charges for usage and is held already ({holding_id})",
            field="addonId",
        )
        self.addon_id, self.holding_id = addon_id, holding_id


class AddonIsNotHeld(Conflict):
    """It is detached, or has ended, when the change takes effect."""

    code = "ADDON_NOT_HELD"

    def __init__(self, holding_id: str, at: datetime) -> None:
        super().__init__(
            f"{holding_id} is not held at {at.isoformat()}", field="subscriptionAddonId"
        )
        self.holding_id, self.at = holding_id, at


class LineIsChargedOnce(Conflict):
    """It was charged for when it began, by the price that it had."""

    code = "LINE_CHARGED_ONCE"

    def __init__(self, line_item_id: str) -> None:
        super().__init__(
            f"line {line_item_id} is charged once; its price cannot change", field="lineItemId"
        )
        self.line_item_id = line_item_id


class LineHasEnded(Conflict):
    """Nothing has taken over from the line that is in force when the change takes effect."""

    code = "LINE_ENDED"

    def __init__(self, line_item_id: str, at: datetime) -> None:
        super().__init__(
            f"line {line_item_id} is not charged for at {at.isoformat()}", field="lineItemId"
        )
        self.line_item_id = line_item_id


class BillingIsBehind(Conflict):
    """What falls due before the change is not billed yet; billing does both in their order."""

    code = "BILLING_BEHIND"

    def __init__(self, subscription_id: str, at: datetime) -> None:
        super().__init__(
            f"what subscription {subscription_id} owed at {at.isoformat()} is not billed yet"
        )
        self.subscription_id = subscription_id


class NothingToMigrate(Conflict):
    """No subscription that goes on meets the filter and is not on the version already."""

    code = "NOTHING_TO_MIGRATE"

    def __init__(self, version_id: str) -> None:
        super().__init__(
            f"the filter finds no subscription to migrate to plan version {version_id}: they must "
            "not be over, nor on that version",
            field="filter",
        )


class TooManyToMigrate(Conflict):
    code = "TOO_MANY_SUBSCRIPTIONS"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the filter finds more than {most} subscriptions, which is the most of one "
            "migration; narrow it down",
            field="filter",
        )


class MigrationIsOver(Conflict):
    """Each of its subscriptions was asked, or it was canceled before."""

    code = "MIGRATION_OVER"

    def __init__(self, migration_id: str, status: str) -> None:
        super().__init__(f"migration {migration_id} is {status}", field="id")
        self.migration_id, self.status = migration_id, status
