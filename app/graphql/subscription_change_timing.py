"""When changes of subscriptions take effect and what they do to fees, in the graph."""

import strawberry

from app.subscriptions.change import ChangeMode as ChangeMode
from app.subscriptions.change import Proration as Proration

strawberry.enum(
    ChangeMode, name="SubscriptionChangeMode", description="When a change takes effect."
)
strawberry.enum(
    Proration,
    name="ProrationBehaviour",
    description="What a change within a period does to fees in advance.",
)
