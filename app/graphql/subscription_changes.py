"""Changes of running subscriptions: asking for them, looking at them, and what they would do."""

from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind
from app.graphql.permissions import requires
from app.graphql.subscription_addons import (
    SubscriptionAddonAttachInput,
    SubscriptionAddonDetachInput,
    SubscriptionAddonQuantityChangeInput,
)
from app.graphql.subscription_change_inputs import (
    AskedChange,
    SubscriptionChangeFilter,
    SubscriptionChangeOrder,
    SubscriptionChangePreviewInput,
    SubscriptionPlanChangeInput,
    SubscriptionPriceChangeInput,
    SubscriptionPriceRestoreInput,
    SubscriptionQuantityChangeInput,
)
from app.graphql.subscription_change_types import SubscriptionChange, SubscriptionChangePreview
from app.graphql.subscription_phases import SubscriptionPhasesSetInput
from app.graphql.subscription_verbs import SubscriptionCancelInput
from app.invoicing import actions
from app.subscriptions import reads

SubscriptionChangeResult = Annotated[
    SubscriptionChange | Rejected,
    strawberry.union(
        "SubscriptionChangeResult",
        description="The change, applied or to come, or why nothing was changed.",
    ),
]
SubscriptionChangePreviewResult = Annotated[
    SubscriptionChangePreview | Rejected,
    strawberry.union(
        "SubscriptionChangePreviewResult",
        description="What the change would do, or why it would be refused.",
    ),
]


@strawberry.type
class SubscriptionChangeQuery:
    @strawberry.field(
        description="A change by id; null when the environment has none with it.",
        extensions=[requires("subscription:read")],
    )
    async def subscription_change(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The change's id.")],
    ) -> SubscriptionChange | None:
        return await _load(info.context, id)

    subscription_changes = listed(
        SubscriptionChange,
        reads.changes_page,
        filter=SubscriptionChangeFilter,
        order=SubscriptionChangeOrder,
        permission="subscription:read",
        description="Changes of subscriptions, to come and whatever became of them unless the "
        "filter says otherwise. The latest to take effect first unless ordered.",
        search=False,
    )

    @strawberry.field(
        description="What a change, or a cancellation, would do: it is made, and undone before "
        "anybody sees it. One to come is looked at as if everything until then had been billed.",
        extensions=[requires("invoice:read")],
    )
    async def subscription_change_preview(
        self,
        info: Info,
        input: Annotated[
            SubscriptionChangePreviewInput, strawberry.argument(description="The change.")
        ],
    ) -> SubscriptionChangePreviewResult:
        ctx, change = info.context, input.change
        at = await ctx.present.subscription(change.id)
        clickhouse = ctx.runtime.clickhouse
        if isinstance(change, SubscriptionCancelInput):
            found = await actions.preview_cancel(
                ctx.scope, change.id, change.command(), clickhouse, by=ctx.actor, at=at
            )
        elif isinstance(change, SubscriptionPhasesSetInput):
            found = await actions.preview_phases(
                ctx.scope, change.command(), clickhouse, by=ctx.actor, at=at
            )
        else:
            found = await actions.preview_change(
                ctx.scope, change.command(), clickhouse, by=ctx.actor, at=at
            )
        return SubscriptionChangePreview.of(found)


@strawberry.type
class SubscriptionChangeMutation:
    @strawberry.mutation(
        description="Hold another quantity of a fixed charge, now, with the period's end or at "
        "an instant to come. Where billing is behind, it is scheduled for this very moment.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_quantity_change(
        self,
        info: Info,
        input: Annotated[
            SubscriptionQuantityChangeInput,
            strawberry.argument(description="Which line, how much, and when."),
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)

    @strawberry.mutation(
        description="Charge a line by a price of the subscription's own: what is given of model "
        "and adjustments takes the place of what the line has. Usage until then is billed by the "
        "price that it had, and usage after by the new one.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_price_change(
        self,
        info: Info,
        input: Annotated[
            SubscriptionPriceChangeInput,
            strawberry.argument(description="Which line, what it costs, and when."),
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)

    @strawberry.mutation(
        description="Charge a line by the catalogue's price again, the one that its own is paid "
        "instead of.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_price_restore(
        self,
        info: Info,
        input: Annotated[
            SubscriptionPriceRestoreInput,
            strawberry.argument(description="Which line, and when."),
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)

    @strawberry.mutation(
        description="Go over to another plan, or to another version of the plan: upgrade, "
        "downgrade or neither. The subscription, its anchor and its periods stay; lines whose "
        "price stays the same go on, and addons stay.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_plan_change(
        self,
        info: Info,
        input: Annotated[
            SubscriptionPlanChangeInput, strawberry.argument(description="To what, and when.")
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)

    @strawberry.mutation(
        description="Buy an addon beside the plan: its prices in the subscription's currency that "
        "are charged once or in its cadence, and what it gives. One that is bought once ends with "
        "the period.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_addon_attach(
        self,
        info: Info,
        input: Annotated[
            SubscriptionAddonAttachInput,
            strawberry.argument(description="Which addon, how much, and when."),
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)

    @strawberry.mutation(
        description="Hold an addon no more: its lines and what it gives end.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_addon_detach(
        self,
        info: Info,
        input: Annotated[
            SubscriptionAddonDetachInput, strawberry.argument(description="Which one, and when.")
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)

    @strawberry.mutation(
        description="Hold more or less of an addon: of its recurring fixed charges, and of the "
        "limits that it gives.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_addon_quantity_change(
        self,
        info: Info,
        input: Annotated[
            SubscriptionAddonQuantityChangeInput,
            strawberry.argument(description="Which one, how much, and when."),
        ],
    ) -> SubscriptionChangeResult:
        return await _change(info.context, input)


async def _change(ctx: Context, asked: AskedChange) -> SubscriptionChange:
    at = await ctx.present.subscription(asked.id)
    clickhouse = ctx.runtime.clickhouse
    row = await actions.change(ctx.scope, asked.command(), clickhouse, by=ctx.actor, at=at)
    return SubscriptionChange.of(row)


async def _load(context: Context, change_id: str) -> SubscriptionChange | None:
    row = await context.load.subscription_change.load(change_id)
    return None if row is None else SubscriptionChange.of(row)


KINDS = (Kind("schg", "subscription:read", _load),)
TYPES = (SubscriptionChange,)
