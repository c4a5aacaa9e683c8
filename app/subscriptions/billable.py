"""What has to be known of a subscription to bill it."""

from dataclasses import dataclass

from app.catalog.price import Price
from app.subscriptions.entitlements import Entitled
from app.subscriptions.subscription import LineItem, Subscription


@dataclass(frozen=True, slots=True)
class BillableSubscription:
    """A subscription with every line it ever had, each with its price, and with everything it
    was ever given (None: nothing). `payer_id`: whom its invoices are addressed to (None: to its
    customer)."""

    subscription: Subscription
    lines: tuple[tuple[LineItem, Price], ...]
    entitled: Entitled | None = None
    payer_id: str | None = None
