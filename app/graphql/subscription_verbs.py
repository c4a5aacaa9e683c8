"""What the verbs of subscriptions take, besides creating and updating."""

from datetime import datetime

import strawberry

from app.graphql.subscription_inputs import CancelMode, CancelReason
from app.graphql.subscription_pauses import PauseBehaviour
from app.subscriptions.changes.canceling import CancelSubscription
from app.subscriptions.changes.pausing import PauseMode, PauseSubscription, ResumeSubscription
from app.subscriptions.changes.pending import ChangeKind as ChangeKind

strawberry.enum(ChangeKind, name="ScheduledChangeKind", description="What is to come.")
strawberry.enum(PauseMode, name="SubscriptionPauseMode", description="From when on to pause.")


@strawberry.input(description="The draft to activate.")
class SubscriptionActivateInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    starts_at: datetime | None = strawberry.field(
        description="Serve from then, past or future; null: from the start that the draft names, "
        "else from now.",
        default=None,
    )


@strawberry.input(description="The subscription to end.")
class SubscriptionCancelInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    mode: CancelMode = strawberry.field(description="When.", default=CancelMode.PERIOD_END)
    at: datetime | None = strawberry.field(
        description="With the mode AT: at this instant, which may lie in the past where it is "
        "not billed yet.",
        default=None,
    )
    final_invoice: bool = strawberry.field(
        description="Whether to bill what the last period owes in arrears, such as its usage.",
        default=True,
    )
    reason: CancelReason | None = strawberry.field(description="Why.", default=None)
    comment: str | None = strawberry.field(
        description="Why, in words; at most 1000 characters.", default=None
    )

    def command(self) -> CancelSubscription:
        return CancelSubscription(
            mode=self.mode,
            at=self.at,
            final_invoice=self.final_invoice,
            reason=self.reason,
            comment=self.comment,
        )


@strawberry.input(description="The subscription whose cancellation is taken back.")
class SubscriptionUncancelInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")


@strawberry.input(description="The subscription to pause.")
class SubscriptionPauseInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    mode: PauseMode = strawberry.field(description="From when on.", default=PauseMode.NOW)
    at: datetime | None = strawberry.field(
        description="With the mode AT: from this instant on, which lies in the future.",
        default=None,
    )
    resumes_at: datetime | None = strawberry.field(
        description="Resume by itself then; null: when `subscriptionResume` says so.",
        default=None,
    )
    behaviour: PauseBehaviour = strawberry.field(
        description="Whether periods end when they would have, or later by the pause.",
        default=PauseBehaviour.KEEP,
    )
    reason: str | None = strawberry.field(description="Why; at most 500 characters.", default=None)

    def command(self) -> PauseSubscription:
        return PauseSubscription(
            mode=self.mode,
            at=self.at,
            resumes_at=self.resumes_at,
            behaviour=self.behaviour,
            reason=self.reason,
        )


@strawberry.input(description="The subscription to resume.")
class SubscriptionResumeInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    at: datetime | None = strawberry.field(
        description="From this instant on, which lies in the future; null: from now on.",
        default=None,
    )
    behaviour: PauseBehaviour | None = strawberry.field(
        description="Whether periods end when they would have, or later by the pause; null: as "
        "the pause was asked for.",
        default=None,
    )

    def command(self) -> ResumeSubscription:
        return ResumeSubscription(at=self.at, behaviour=self.behaviour)


@strawberry.input(description="The subscription whose trial ends at another time.")
class SubscriptionSetTrialEndInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    ends_at: datetime | None = strawberry.field(
        description="When its trial ends, in the future; null: now.", default=None
    )


@strawberry.input(description="The change to take back.")
class SubscriptionCancelChangeInput:
    id: strawberry.ID = strawberry.field(description="Which subscription.")
    kind: ChangeKind = strawberry.field(
        description="Which of its scheduled changes, one that is cancelable."
    )
    change_id: strawberry.ID | None = strawberry.field(
        description="Of several changes of quantity, price or plan: which; null: the next.",
        default=None,
    )
