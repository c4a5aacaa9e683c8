"""What can be wrong with a subscription.

DomainError
├── Invalid            INVALID_CURRENCY, CURRENCY_REQUIRED, INVALID_TIMEZONE, INVALID_METADATA,
│                      INVALID_CADENCE, INVALID_ANCHOR, INVALID_STARTS_AT, INVALID_ENDS_AT,
│                      INVALID_QUANTITIES, NO_MATCHING_PRICE
├── NotFound           NOT_FOUND (subscription, customer, plan)
└── Conflict
    ├── CUSTOMER_ARCHIVED, PLAN_ARCHIVED
    ├── SubscriptionIsOver      SUBSCRIPTION_OVER
    └── CancellationIsPending   CANCELLATION_PENDING
"""

from app.kernel.errors import Conflict


class SubscriptionIsOver(Conflict):
    """Canceled or ended: nothing of it changes but its metadata."""

    code = "SUBSCRIPTION_OVER"

    def __init__(self, subscription_id: str, status: str, *, field: str = "id") -> None:
        super().__init__(f"subscription {subscription_id} is {status}", field=field)
        self.subscription_id, self.status = subscription_id, status


class CancellationIsPending(Conflict):
    code = "CANCELLATION_PENDING"

    def __init__(self, subscription_id: str, field: str) -> None:
        super().__init__(
            f"subscription {subscription_id} is canceled for the end of its period", field=field
        )
        self.subscription_id = subscription_id
