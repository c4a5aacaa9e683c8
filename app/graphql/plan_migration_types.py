"""Bulk migrations in the graph: what they look like, and what they would do."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self, TypeVar

import strawberry

from app.graphql.cadences import Cadence
from app.graphql.context import Info
from app.graphql.node import Node
from app.graphql.paging import After, Before, Connection, First, Last, page_request
from app.graphql.scalars import Money
from app.graphql.subscription_change_inputs import ChangeMode, Direction, Proration
from app.graphql.subscription_change_types import (
    SubscriptionChange,
    SubscriptionChangeFailure,
    SubscriptionChangeTerms,
)
from app.graphql.subscription_types import Subscription
from app.kernel.errors import Invalid
from app.kernel.listing import Page, PageRequest
from app.subscriptions.migration import (
    MigrationItem,
    MigrationItemStatus,
    MigrationStatus,
)
from app.subscriptions.migration import (
    PlanMigration as Row,
)
from app.subscriptions.migration_preview import Foreseen, MigrationPreview, Recurring

T = TypeVar("T")


@strawberry.type(description="A subscription of a bulk migration, and what came of it.")
class PlanMigrationItem(Node):
    migration_id: strawberry.ID = strawberry.field(description="Of which migration.")
    subscription_id: strawberry.ID = strawberry.field(description="Which subscription.")
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
    status: MigrationItemStatus = strawberry.field(description="What came of it.")
    from_plan_version_id: strawberry.ID = strawberry.field(
        description="The version it was on when the migration was started."
    )
    change_id: strawberry.ID | None = strawberry.field(
        description="The change that was made; null where none was."
    )
    failure: SubscriptionChangeFailure | None = strawberry.field(
        description="Why it was refused; null where it was not."
    )
    done_at: datetime | None = strawberry.field(
        description="When it had its turn, by its customer's clock; null while it waits."
    )
    created_at: datetime = strawberry.field(description="When it was selected.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="The change that was made; null where none was.")
    async def change(self, info: Info) -> SubscriptionChange | None:
        if self.change_id is None:
            return None
        row = await info.context.load.subscription_change.load(self.change_id)
        return None if row is None else SubscriptionChange.of(row)

    @strawberry.field(description="The subscription as it is now.")
    async def subscription(self, info: Info) -> Subscription | None:
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else Subscription.of(row)

    @classmethod
    def of(cls, row: MigrationItem) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            migration_id=strawberry.ID(row.migration_id),
            subscription_id=strawberry.ID(row.subscription_id),
            customer_id=strawberry.ID(row.customer_id),
            status=row.status,
            from_plan_version_id=strawberry.ID(row.from_plan_version_id),
            change_id=None if row.change_id is None else strawberry.ID(row.change_id),
            failure=None if row.failure is None else SubscriptionChangeFailure.of(row.failure),
            done_at=row.done_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@strawberry.type(description="Many subscriptions that go over to a version of a plan.")
class PlanMigration(Node):
    status: MigrationStatus = strawberry.field(description="How far it is.")
    plan_id: strawberry.ID = strawberry.field(description="The plan to go over to.")
    plan_version_id: strawberry.ID = strawberry.field(description="Its version.")
    mode: ChangeMode = strawberry.field(description="When subscriptions change.")
    at: datetime | None = strawberry.field(description="With the mode AT: at this instant.")
    proration: Proration = strawberry.field(description="What becomes of fees in advance.")
    terms: SubscriptionChangeTerms = strawberry.field(description="What each change is to do.")
    total: int = strawberry.field(description="How many subscriptions were selected.")
    pending: int = strawberry.field(description="How many still wait for their turn.")
    changed: int = strawberry.field(description="How many changes were made, applied or to come.")
    refused: int = strawberry.field(description="How many were refused.")
    canceled: int = strawberry.field(description="How many were left alone when it was canceled.")
    finished_at: datetime | None = strawberry.field(
        description="When none was pending any more; null while some are."
    )
    created_at: datetime = strawberry.field(description="When it was started.")
    updated_at: datetime = strawberry.field(description="When it last got on.")

    @strawberry.field(description="Its subscriptions, in the order of their turns.")
    async def items(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[PlanMigrationItem]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.items_of_plan_migration.load((self.id, request))
        return Connection.of(page, PlanMigrationItem.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            status=row.status,
            plan_id=strawberry.ID(row.plan_id),
            plan_version_id=strawberry.ID(row.plan_version_id),
            mode=row.mode,
            at=row.at,
            proration=row.proration,
            terms=SubscriptionChangeTerms.of(row.terms),
            total=row.counts.total,
            pending=row.counts.pending,
            changed=row.counts.changed,
            refused=row.counts.refused,
            canceled=row.counts.canceled,
            finished_at=row.finished_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@strawberry.type(description="How many subscriptions would be refused for one reason.")
class PlanMigrationRefusals:
    code: str = strawberry.field(description="Why.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(
    description="What recurs of fixed fees of the subscriptions that fit, of one currency and "
    "cadence, per period."
)
class PlanMigrationRecurring:
    cadence: Cadence = strawberry.field(description="How often they are billed.")
    subscriptions: int = strawberry.field(description="How many there are.")
    before: Money = strawberry.field(description="What it comes to now.")
    after: Money = strawberry.field(description="What it would come to.")

    @classmethod
    def of(cls, row: Recurring) -> Self:
        def money(amount: Decimal) -> Money:
            return Money(amount=amount, currency=row.currency)

        return cls(
            cadence=Cadence.of(row.cadence),
            subscriptions=row.subscriptions,
            before=money(row.before),
            after=money(row.after),
        )


@strawberry.type(description="What a bulk migration would do with one subscription.")
class PlanMigrationPreviewItem:
    subscription: Subscription = strawberry.field(description="Which one.")
    failure: SubscriptionChangeFailure | None = strawberry.field(
        description="Why it would be refused; null where it fits."
    )
    effective_at: datetime | None = strawberry.field(
        description="When it would change; null where it would be refused."
    )
    direction: Direction | None = strawberry.field(
        description="How its recurring fixed fees would compare; null where it would be refused."
    )

    @classmethod
    def of(cls, row: Foreseen) -> Self:
        return cls(
            subscription=Subscription.of(row.subscription),
            failure=None if row.refusal is None else SubscriptionChangeFailure.of(row.refusal),
            effective_at=row.effective_at,
            direction=row.direction,
        )


@strawberry.type(description="What a bulk migration would do, as far as rules know beforehand.")
class PlanMigrationPreview:
    plan_id: strawberry.ID = strawberry.field(description="The plan to go over to.")
    plan_version_id: strawberry.ID = strawberry.field(description="Its version.")
    fits: int = strawberry.field(description="How many subscriptions would be changed.")
    refused: int = strawberry.field(description="How many would be refused.")
    refusals: list[PlanMigrationRefusals] = strawberry.field(description="Why, by code.")
    recurring: list[PlanMigrationRecurring] = strawberry.field(
        description="What recurs of fixed fees, before and after, by currency and cadence."
    )
    row: strawberry.Private[MigrationPreview]

    @strawberry.field(description="The subscriptions, in the order of their turns.")
    def subscriptions(
        self,
        info: Info,
        refused: Annotated[
            bool | None,
            strawberry.argument(description="Those that would be refused, or not; null: all."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[PlanMigrationPreviewItem]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        found = [
            each
            for each in self.row.subscriptions
            if refused is None or refused is (each.refusal is not None)
        ]
        page = cut(found, request, lambda each: each.subscription.id)
        return Connection.of(page, PlanMigrationPreviewItem.of)

    @classmethod
    def of(cls, row: MigrationPreview) -> Self:
        return cls(
            plan_id=strawberry.ID(row.what.plan_id or ""),
            plan_version_id=strawberry.ID(row.what.plan_version_id or ""),
            fits=row.fits,
            refused=row.refused,
            refusals=[
                PlanMigrationRefusals(code=code, count=count) for code, count in row.refusals
            ],
            recurring=[PlanMigrationRecurring.of(each) for each in row.recurring],
            row=row,
        )


def cut(rows: list[T], request: PageRequest, key: Callable[[T], str]) -> Page[T]:
    """A page of rows that are at hand, in the order of their keys, which are the cursors.

    Raises: Invalid (INVALID_PAGE, INVALID_CURSOR).
    """
    size, backwards = request.span()
    places = {key(row): place for place, row in enumerate(rows)}

    def place(cursor: str, field: str) -> int:
        if cursor not in places:
            raise Invalid(f"{field}: not a cursor of this list", field=field, code="INVALID_CURSOR")
        return places[cursor]

    start = 0 if request.after is None else place(request.after, "after") + 1
    end = len(rows) if request.before is None else place(request.before, "before")
    start, end = (max(start, end - size), end) if backwards else (start, min(end, start + size))
    chosen = rows[start:end]
    return Page(
        chosen,
        has_next=end < len(rows),
        has_previous=start > 0,
        total=len(rows),
        cursors=[key(row) for row in chosen],
    )
