"""What is told of a subscription as a part of it."""

from datetime import datetime
from typing import Self

import strawberry

from app.graphql.subscription_inputs import CancelMode, CancelReason
from app.graphql.subscription_verbs import ChangeKind
from app.subscriptions.changes.pending import Change
from app.subscriptions.subscription import Cancellation, Trial


@strawberry.type(description="The time at a subscription's start that is free of fees.")
class SubscriptionTrial:
    ends_at: datetime = strawberry.field(description="When charging starts.")
    days: int | None = strawberry.field(
        description="How many local days it was to last; null where its end was named."
    )
    bills_usage: bool = strawberry.field(
        description="Whether usage in the trial is billed when it ends."
    )
    planned_end: datetime | None = strawberry.field(
        description="When it would have ended before that was changed; null where it was not."
    )

    @classmethod
    def of(cls, row: Trial) -> Self:
        return cls(
            ends_at=row.ends_at,
            days=row.days,
            bills_usage=row.bills_usage,
            planned_end=row.planned_end,
        )


@strawberry.type(description="How a subscription is canceled.")
class SubscriptionCancellation:
    requested_at: datetime = strawberry.field(description="When that was asked for.")
    mode: CancelMode = strawberry.field(description="What was asked for.")
    final_invoice: bool = strawberry.field(
        description="Whether what the last period owes in arrears is billed."
    )
    reason: CancelReason | None = strawberry.field(description="Why.")
    comment: str | None = strawberry.field(description="Why, in words.")

    @classmethod
    def of(cls, row: Cancellation) -> Self:
        return cls(
            requested_at=row.requested_at,
            mode=row.mode,
            final_invoice=row.final_invoice,
            reason=row.reason,
            comment=row.comment,
        )


@strawberry.type(description="A change of a subscription that is to come.")
class ScheduledChange:
    kind: ChangeKind = strawberry.field(description="What happens.")
    at: datetime = strawberry.field(description="When.")
    cancelable: bool = strawberry.field(
        description="Whether `subscriptionCancelChange` takes it back."
    )
    change_id: strawberry.ID | None = strawberry.field(
        description="The change of its lines that it is; null for any other kind."
    )

    @classmethod
    def of(cls, row: Change) -> Self:
        change_id = None if row.change_id is None else strawberry.ID(row.change_id)
        return cls(kind=row.kind, at=row.at, cancelable=row.cancelable, change_id=change_id)
