"""When changes of subscriptions take effect and what they do to fees, in the graph."""

from datetime import datetime

import strawberry

from app.subscriptions.actions import RequestChange
from app.subscriptions.change import ChangeMode as ChangeMode
from app.subscriptions.change import Proration as Proration
from app.subscriptions.change import Timing, What

strawberry.enum(
    ChangeMode, name="SubscriptionChangeMode", description="When a change takes effect."
)
strawberry.enum(
    Proration,
    name="ProrationBehaviour",
    description="What a change within a period does to fees in advance.",
)


@strawberry.input(description="What every change of a running subscription is asked for with.")
class ChangeInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    mode: ChangeMode = strawberry.field(description="When.", default=ChangeMode.NOW)
    at: datetime | None = strawberry.field(
        description="With the mode AT: at this instant, which lies in the future.", default=None
    )
    proration: Proration = strawberry.field(
        description="What becomes of fees in advance.", default=Proration.CREATE_PRORATIONS
    )

    def requested(self, what: What) -> RequestChange:
        return RequestChange(
            subscription_id=self.id,
            what=what,
            timing=Timing(mode=self.mode, at=self.at),
            proration=self.proration,
        )
