"""Subscriptions in the graph: customers on plans. What they look like is in `subscription_types`,
what they take in `subscription_inputs` and `subscription_verbs`."""

from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind
from app.graphql.permissions import requires
from app.graphql.subscription_inputs import (
    SubscriptionCreateInput,
    SubscriptionFilter,
    SubscriptionOrder,
    SubscriptionUpdateInput,
)
from app.graphql.subscription_line_items import SubscriptionLineItem
from app.graphql.subscription_pauses import (
    SubscriptionPause,
    SubscriptionPauseFilter,
    SubscriptionPauseOrder,
)
from app.graphql.subscription_phases import SubscriptionPhasesSetInput
from app.graphql.subscription_quantities import bought
from app.graphql.subscription_types import Subscription
from app.graphql.subscription_verbs import (
    SubscriptionActivateInput,
    SubscriptionCancelChangeInput,
    SubscriptionCancelInput,
    SubscriptionPauseInput,
    SubscriptionResumeInput,
    SubscriptionSetTrialEndInput,
    SubscriptionUncancelInput,
)
from app.invoicing.actions import subscribe
from app.subscriptions import actions, reads
from app.subscriptions.subscription import SubscriptionStatus

SubscriptionResult = Annotated[
    Subscription | Rejected,
    strawberry.union(
        "SubscriptionResult",
        description="The subscription as it is now, or why nothing was changed.",
    ),
]


@strawberry.type(description="How many subscriptions there are of one status.")
class SubscriptionStatusCount:
    status: SubscriptionStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many have it.")


@strawberry.type
class SubscriptionQuery:
    @strawberry.field(
        description="A subscription by id; null when the environment has none with it.",
        extensions=[requires("subscription:read")],
    )
    async def subscription(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The subscription's id.")],
    ) -> Subscription | None:
        return await _load(info.context, id)

    subscriptions = listed(
        Subscription,
        reads.page,
        filter=SubscriptionFilter,
        order=SubscriptionOrder,
        permission="subscription:read",
        description="Subscriptions, drafts and those that are over included unless the filter "
        "says otherwise. The newest first unless ordered. `search` looks through purchase orders.",
    )

    @strawberry.field(
        description="How many subscriptions the environment has of each status.",
        extensions=[requires("subscription:read")],
    )
    async def subscription_status_counts(self, info: Info) -> list[SubscriptionStatusCount]:
        found = await reads.count_by_status(info.context.scope)
        return [SubscriptionStatusCount(status=s, count=n) for s, n in found.items()]

    @strawberry.field(
        description="A pause by id; null when the environment has none with it.",
        extensions=[requires("subscription:read")],
    )
    async def subscription_pause(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The pause's id.")],
    ) -> SubscriptionPause | None:
        return await _load_pause(info.context, id)

    subscription_pauses = listed(
        SubscriptionPause,
        reads.pauses_page,
        filter=SubscriptionPauseFilter,
        order=SubscriptionPauseOrder,
        permission="subscription:read",
        description="Pauses of subscriptions, those that were taken back included unless the "
        "filter says otherwise. The latest first unless ordered.",
        search=False,
    )


@strawberry.type
class SubscriptionMutation:
    @strawberry.mutation(
        description="Put a customer on a plan: on its prices of the currency and cadence that "
        "are in force when the subscription starts, or now if it starts in the past. Periods "
        "that have passed are billed, one invoice each. A draft bills nothing until it is "
        "activated.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_create(
        self,
        info: Info,
        input: Annotated[
            SubscriptionCreateInput, strawberry.argument(description="The subscription.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        if input.coupon_ids or input.coupon_codes:
            ctx.caller.require("coupon:write")
        row = await subscribe(
            ctx.scope,
            input.command(),
            by=ctx.actor,
            at=await ctx.present.customer(input.customer_id),
            coupon_ids=input.coupon_ids,
            coupon_codes=input.coupon_codes,
            phases=input.agreed(),
            addons=bought(input.addons),
        )
        return Subscription.of(row)

    @strawberry.mutation(
        description="Let a draft begin. Anchor, trial and lines follow its start, and billing is "
        "scheduled.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_activate(
        self,
        info: Info,
        input: Annotated[
            SubscriptionActivateInput, strawberry.argument(description="Which one, and from when.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.activate(ctx.scope, input.id, input.starts_at, by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="Change the notes, the end or the terms of payment of a subscription; of a "
        "draft also its start, anchor, trial and quantities.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_update(
        self,
        info: Info,
        input: Annotated[SubscriptionUpdateInput, strawberry.argument(description="The changes.")],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.update(ctx.scope, input.id, input.patch(), by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="End a subscription now, with the current period or at an instant. What was "
        "used until then is billed, unless that is declined. A trial bills nothing. While a "
        "cancellation is to come, only one for now is taken.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_cancel(
        self,
        info: Info,
        input: Annotated[
            SubscriptionCancelInput, strawberry.argument(description="Which one, when and why.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.cancel(ctx.scope, input.id, input.command(), by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="Take a cancellation back that has not come yet: the subscription ends when "
        "it would have without it.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_uncancel(
        self,
        info: Info,
        input: Annotated[SubscriptionUncancelInput, strawberry.argument(description="Which one.")],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.uncancel(ctx.scope, input.id, by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="Stop serving and charging, from now, from the period's end or from an "
        "instant on. What was billed in advance stays billed; usage in the pause is not billed.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_pause(
        self,
        info: Info,
        input: Annotated[
            SubscriptionPauseInput, strawberry.argument(description="Which one, and from when.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.pause(ctx.scope, input.id, input.command(), by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="Serve and charge a paused subscription again, from now or from an instant on.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_resume(
        self,
        info: Info,
        input: Annotated[
            SubscriptionResumeInput, strawberry.argument(description="Which one, and from when.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.resume(ctx.scope, input.id, input.command(), by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="Let a trial that is not over end now, or at another time than planned.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_set_trial_end(
        self,
        info: Info,
        input: Annotated[
            SubscriptionSetTrialEndInput, strawberry.argument(description="Which one, and when.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.set_trial_end(ctx.scope, input.id, input.ends_at, by=ctx.actor, at=at)
        return Subscription.of(row)

    @strawberry.mutation(
        description="Agree on the phases that are to come, such as a ramp of seats, prices or "
        "commitments, instead of all that were to. Each is checked as if those before it had "
        "begun.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_phases_set(
        self,
        info: Info,
        input: Annotated[
            SubscriptionPhasesSetInput, strawberry.argument(description="Which one, and what when.")
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        await actions.set_phases(ctx.scope, input.command(), by=ctx.actor, at=at)
        return Subscription.of(await reads.get(ctx.scope, input.id))

    @strawberry.mutation(
        description="Take back one of a subscription's scheduled changes: a cancellation, a pause "
        "that has not begun, a resumption, a change of its trial's end, of quantity, price or "
        "plan, or a phase.",
        extensions=[requires("subscription:write")],
    )
    async def subscription_cancel_change(
        self,
        info: Info,
        input: Annotated[
            SubscriptionCancelChangeInput,
            strawberry.argument(description="Which one, and which change."),
        ],
    ) -> SubscriptionResult:
        ctx = info.context
        at = await ctx.present.subscription(input.id)
        row = await actions.cancel_change(
            ctx.scope, input.id, input.kind, input.change_id, by=ctx.actor, at=at
        )
        return Subscription.of(row)


async def _load(context: Context, subscription_id: str) -> Subscription | None:
    row = await context.load.subscription.load(subscription_id)
    return None if row is None else Subscription.of(row)


async def _load_line_item(context: Context, line_item_id: str) -> SubscriptionLineItem | None:
    row = await context.load.line_item.load(line_item_id)
    return None if row is None else SubscriptionLineItem.of(row)


async def _load_pause(context: Context, pause_id: str) -> SubscriptionPause | None:
    row = await context.load.pause.load(pause_id)
    return None if row is None else SubscriptionPause.of(row)


KINDS = (
    Kind("sub", "subscription:read", _load),
    Kind("sli", "subscription:read", _load_line_item),
    Kind("spau", "subscription:read", _load_pause),
)
TYPES = (Subscription, SubscriptionLineItem, SubscriptionPause)
