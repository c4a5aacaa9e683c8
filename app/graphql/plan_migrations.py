"""Bulk migrations: looking at what one would do, starting it, following it, breaking it off.

A migration belongs to the environment, whose present dates it; each of its subscriptions changes
in its own customer's.
"""

from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind
from app.graphql.permissions import requires
from app.graphql.plan_migration_inputs import (
    PlanMigrationCancelInput,
    PlanMigrationFilter,
    PlanMigrationItemFilter,
    PlanMigrationItemOrder,
    PlanMigrationOrder,
    PlanMigrationStartInput,
)
from app.graphql.plan_migration_types import (
    PlanMigration,
    PlanMigrationItem,
    PlanMigrationPreview,
)
from app.subscriptions import migration_reads as reads
from app.subscriptions.actions import migrating
from app.subscriptions.migration_preview import preview

PlanMigrationResult = Annotated[
    PlanMigration | Rejected,
    strawberry.union(
        "PlanMigrationResult",
        description="The migration as it is now, or why nothing was changed.",
    ),
]
PlanMigrationPreviewResult = Annotated[
    PlanMigrationPreview | Rejected,
    strawberry.union(
        "PlanMigrationPreviewResult",
        description="What the migration would do, or why it would be refused.",
    ),
]


@strawberry.type
class PlanMigrationQuery:
    @strawberry.field(
        description="A bulk migration by id; null when the environment has none with it.",
        extensions=[requires("subscription:read")],
    )
    async def plan_migration(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The migration's id.")],
    ) -> PlanMigration | None:
        return await _load(info.context, id)

    plan_migrations = listed(
        PlanMigration,
        reads.page,
        filter=PlanMigrationFilter,
        order=PlanMigrationOrder,
        permission="subscription:read",
        description="Bulk migrations, under way and over, the newest first unless ordered.",
        search=False,
    )
    plan_migration_items = listed(
        PlanMigrationItem,
        reads.items_page,
        filter=PlanMigrationItemFilter,
        order=PlanMigrationItemOrder,
        permission="subscription:read",
        description="Subscriptions of bulk migrations with what came of each, in the order of "
        "their turns unless ordered.",
        search=False,
    )

    @strawberry.field(
        description="What `planMigrationStart` would do now, as far as rules know beforehand: "
        "which subscriptions fit, which would be refused and why, and what their recurring fees "
        "come to. Nothing is changed.",
        extensions=[requires("subscription:read")],
    )
    async def plan_migration_preview(
        self,
        info: Info,
        input: Annotated[
            PlanMigrationStartInput, strawberry.argument(description="The migration.")
        ],
    ) -> PlanMigrationPreviewResult:
        ctx = info.context
        return PlanMigrationPreview.of(await preview(ctx.scope, input.command(), at=ctx.now()))


@strawberry.type
class PlanMigrationMutation:
    @strawberry.mutation(
        description="Let many subscriptions go over to a version of a plan. They are selected "
        "now; the billing runs change one after another, as `subscriptionPlanChange` would, each "
        "at most once.",
        extensions=[requires("subscription:write")],
    )
    async def plan_migration_start(
        self,
        info: Info,
        input: Annotated[
            PlanMigrationStartInput, strawberry.argument(description="Which ones, to what, when.")
        ],
    ) -> PlanMigrationResult:
        ctx = info.context
        row = await migrating.start(ctx.scope, input.command(), by=ctx.actor, at=ctx.now())
        return PlanMigration.of(row)

    @strawberry.mutation(
        description="Leave those alone whose turn has not come. What was changed stays changed; "
        "changes to come are taken back by `subscriptionCancelChange`.",
        extensions=[requires("subscription:write")],
    )
    async def plan_migration_cancel(
        self,
        info: Info,
        input: Annotated[PlanMigrationCancelInput, strawberry.argument(description="Which one.")],
    ) -> PlanMigrationResult:
        ctx = info.context
        row = await migrating.cancel(ctx.scope, input.id, by=ctx.actor, at=ctx.now())
        return PlanMigration.of(row)


async def _load(context: Context, migration_id: str) -> PlanMigration | None:
    row = await context.load.plan_migration.load(migration_id)
    return None if row is None else PlanMigration.of(row)


async def _load_item(context: Context, item_id: str) -> PlanMigrationItem | None:
    row = await context.load.plan_migration_item.load(item_id)
    return None if row is None else PlanMigrationItem.of(row)


KINDS = (
    Kind("plmg", "subscription:read", _load),
    Kind("plmi", "subscription:read", _load_item),
)
TYPES = (PlanMigration, PlanMigrationItem)
