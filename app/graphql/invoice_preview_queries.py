"""What the next invoice would be, of a subscription and usage that are there or thought of."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from app.graphql.context import Info
from app.graphql.errors import Rejected
from app.graphql.invoice_previews import InvoicePreview
from app.graphql.permissions import requires
from app.graphql.quotes import QuotedUsageInput
from app.graphql.subscription_inputs import SubscriptionCreateInput
from app.graphql.subscription_quantities import bought
from app.invoicing import actions
from app.invoicing.actions import NewSubscription
from app.invoicing.drafts import Moment
from app.invoicing.imagining import Imagined
from app.invoicing.quoting import Usage
from app.kernel.checks import located
from app.kernel.errors import Invalid

# How many prices may have imagined usage.
_MOST = 100

InvoicePreviewResult = Annotated[
    InvoicePreview | Rejected,
    strawberry.union(
        "InvoicePreviewResult", description="What would be billed, or why nothing would."
    ),
]


@strawberry.input(description="The usage of a price as it might be.")
class ImaginedUsageInput:
    price_id: strawberry.ID = strawberry.field(description="A usage price of the subscription.")
    usage: QuotedUsageInput = strawberry.field(
        description="Of the whole period, in one group; in the place of what was counted."
    )


@strawberry.type
class InvoicePreviewQuery:
    @strawberry.field(
        description="The next invoice of a subscription, due or not, by the code that bills; "
        "nothing is stored. Of one that is there, or of one that is only thought of; with the "
        "usage that its period has now, or as imagined for some prices. Then it is the next that "
        "asks for the usage of all of those.",
        extensions=[requires("invoice:read")],
    )
    async def invoice_preview(
        self,
        info: Info,
        subscription_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Of a subscription that is there."),
        ] = None,
        subscription: Annotated[
            SubscriptionCreateInput | None,
            strawberry.argument(description="Or of one as it might be created."),
        ] = None,
        usage: Annotated[
            list[ImaginedUsageInput] | None,
            strawberry.argument(
                description=f"Imagined usage, once for a price; of at most {_MOST} prices."
            ),
        ] = None,
    ) -> InvoicePreviewResult:
        ctx, imagined = info.context, _imagined(usage or ())
        clickhouse = ctx.runtime.clickhouse
        if subscription_id is not None and subscription is None:
            moment = Moment(await ctx.present.subscription(subscription_id), None)
            drafted = await actions.preview(
                ctx.scope, subscription_id, clickhouse, moment=moment, imagined=imagined
            )
        elif subscription is not None and subscription_id is None:
            new = NewSubscription(
                subscription.command(),
                subscription.coupon_ids,
                subscription.coupon_codes,
                subscription.agreed(),
                bought(subscription.addons),
            )
            moment = Moment(await ctx.present.customer(subscription.customer_id), None)
            drafted = await actions.preview_new(
                ctx.scope, new, clickhouse, by=ctx.actor, moment=moment, imagined=imagined
            )
        else:
            raise _one_of(given=subscription is not None)
        return InvoicePreview.of(drafted, imagined=imagined.keys())


def _one_of(*, given: bool) -> Invalid:
    return Invalid(
        "subscriptionId: name a subscription or describe one, exactly one of them",
        field="subscription" if given else "subscriptionId",
        code="SUBSCRIPTION_AMBIGUOUS" if given else "SUBSCRIPTION_REQUIRED",
    )


def _imagined(given: Sequence[ImaginedUsageInput]) -> Imagined:
    if len(given) > _MOST:
        raise Invalid(
            f"usage: {len(given)} are too many; at most {_MOST} prices fit",
            field="usage",
            code="TOO_MANY_PARTS",
        )
    found: dict[str, Usage] = {}
    for place, each in enumerate(given):
        if each.price_id in found:
            raise Invalid(
                f"usage[{place}].priceId: {each.price_id} is named before; name a price once",
                field=f"usage[{place}].priceId",
                code="DUPLICATE_PRICE",
            )
        with located(f"usage[{place}]"):
            found[each.price_id] = each.usage.row()
    return found
