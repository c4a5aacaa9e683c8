"""Access checks in the graph: what a customer may use, and how much of it is left."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

import strawberry

from app.catalog.entitlement import OwnerKind
from app.catalog.entitlement_terms import Resets
from app.catalog.feature import FeatureType
from app.graphql.catalog.entitlements import Entitlement
from app.graphql.catalog.features import Feature
from app.graphql.context import Context, Info
from app.graphql.permissions import requires
from app.graphql.scalars import JSON
from app.kernel.errors import Invalid
from app.subscriptions import checking
from app.subscriptions.access import Access as Row
from app.subscriptions.access import Balance, Reason
from app.subscriptions.access_reads import Whose
from app.subscriptions.checking import MAX_FEATURES
from app.subscriptions.entitlements import Given

strawberry.enum(Reason, name="AccessReason", description="Why a feature may be used, or may not.")


@strawberry.type(description="An entitlement that a subscription has, and from where.")
class GivenEntitlement:
    subscription_id: strawberry.ID = strawberry.field(description="Which subscription has it.")
    entitlement_id: strawberry.ID = strawberry.field(description="The entitlement.")
    feature_id: strawberry.ID = strawberry.field(description="What it gives.")
    owner: OwnerKind = strawberry.field(description="What gives it.")
    quantity: Decimal = strawberry.field(
        description="How often it counts; of an addon, how many are held."
    )
    starts_at: datetime = strawberry.field(description="The subscription has it from then on.")
    ends_at: datetime | None = strawberry.field(
        description="The subscription has it until then; null: as long as it runs."
    )
    entitlement: Entitlement = strawberry.field(description="The entitlement, as it was bought.")

    @classmethod
    def of(cls, row: Given) -> Self:
        return cls(
            subscription_id=strawberry.ID(row.subscription_id),
            entitlement_id=strawberry.ID(row.entitlement.id),
            feature_id=strawberry.ID(row.entitlement.feature_id),
            owner=row.entitlement.owner.kind,
            quantity=row.quantity,
            starts_at=row.start,
            ends_at=row.end,
            entitlement=Entitlement.of(row.entitlement),
        )


@strawberry.type(
    description="What is included in one rhythm, and what of it is left in the window of the "
    "moment. Of several the first is used up first; the next sees what it let pass."
)
class AccessBalance:
    resets: Resets = strawberry.field(description="When what was used is forgotten.")
    start: datetime = strawberry.field(description="Usage counts from then on.")
    end: datetime | None = strawberry.field(description="It begins anew then; null: it does not.")
    limit: Decimal | None = strawberry.field(description="How much is included; null: no limit.")
    used: Decimal = strawberry.field(description="How much was used, beyond the limit, too.")
    remaining: Decimal | None = strawberry.field(
        description="What is left, not below 0; null: no limit."
    )

    @classmethod
    def of(cls, row: Balance) -> Self:
        return cls(
            resets=row.resets,
            start=row.window.start,
            end=row.window.end,
            limit=row.limit,
            used=row.used,
            remaining=row.remaining,
        )


@strawberry.type(description="Whether a customer may use a feature, and how much of it is left.")
class FeatureAccess:
    key: str = strawberry.field(description="The feature, as it was asked for.")
    feature_id: strawberry.ID | None = strawberry.field(
        description="The feature's id; null for an unknown one."
    )
    type: FeatureType | None = strawberry.field(
        description="What the feature gives; null for an unknown one."
    )
    allowed: bool = strawberry.field(description="Whether it may be used.")
    reason: Reason = strawberry.field(description="Why it may be used, or may not.")
    unlimited: bool = strawberry.field(description="Whether it is metered, given and unlimited.")
    limit: Decimal | None = strawberry.field(
        description="How much is included in all; null: there is no limit, or nothing is metered."
    )
    used: Decimal | None = strawberry.field(
        description="How much was used, beyond the limit, too; null: nothing is metered."
    )
    remaining: Decimal | None = strawberry.field(
        description="What is left, not below 0; null: there is no limit, or nothing is metered."
    )
    resets_at: datetime | None = strawberry.field(
        description="When some of it begins anew; null: never, or it slides."
    )
    soft: bool = strawberry.field(description="Whether it may be used beyond the limit.")
    value: JSON | None = strawberry.field(
        description="Of a static or config feature, the value of the most specific entitlement: "
        "the subscription's own before an addon's before the plan's."
    )
    values: list[JSON] = strawberry.field(
        description="The values of all that count, the most specific first."
    )
    balances: list[AccessBalance] = strawberry.field(
        description="What is included of a metered feature, by rhythm, in the order it is used up."
    )
    sources: list[GivenEntitlement] = strawberry.field(
        description="The entitlements that count, the most specific first."
    )

    @strawberry.field(
        description="The feature; null for an unknown one.", extensions=[requires("feature:read")]
    )
    async def feature(self, info: Info) -> Feature | None:
        if self.feature_id is None:
            return None
        row = await info.context.load.feature.load(self.feature_id)
        return None if row is None else Feature.of(row)

    @classmethod
    def of(cls, row: Row) -> Self:
        values = [JSON(value) for value in row.values]
        return cls(
            key=row.key,
            feature_id=None if row.feature is None else strawberry.ID(row.feature.id),
            type=None if row.feature is None else row.feature.type,
            allowed=row.allowed,
            reason=row.reason,
            unlimited=row.unlimited,
            limit=row.limit,
            used=row.used,
            remaining=row.remaining,
            resets_at=row.resets_at,
            soft=row.soft,
            value=values[0] if values else None,
            values=values,
            balances=[AccessBalance.of(balance) for balance in row.balances],
            sources=[GivenEntitlement.of(given) for given in row.sources],
        )


@strawberry.type(description="What a customer may use.")
class Access:
    at: datetime = strawberry.field(description="The instant it was asked for; usage before it.")
    watermark: datetime | None = strawberry.field(
        description="When the latest of the events that were counted was accepted; null: none "
        "were. Events accepted later are on their way."
    )
    features: list[FeatureAccess] = strawberry.field(description="In the order asked.")


@strawberry.type
class AccessQuery:
    @strawberry.field(
        description="Whether a customer may use features, and how much of each is left: what its "
        "subscriptions in force give, together, against what has been counted by now.",
        extensions=[requires("entitlement:read")],
    )
    async def access(
        self,
        info: Info,
        *,
        features: Annotated[
            list[str],
            strawberry.argument(
                description=f"By lookup key or id; 1 to {MAX_FEATURES}. A key means the feature "
                "in use that has it, else the one that had it last."
            ),
        ],
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Whose access.")
        ] = None,
        external_customer_id: Annotated[
            str | None,
            strawberry.argument(description="The same, by your own name; give one of the two."),
        ] = None,
        at: Annotated[datetime | None, strawberry.argument(description="When; null: now.")] = None,
    ) -> Access:
        ctx = info.context
        whose = _whose(customer_id, external_customer_id)
        instant = at or await _present(ctx, whose)
        found = await checking.access(
            ctx.scope, ctx.runtime.clickhouse, whose, features, at=instant
        )
        answers = [FeatureAccess.of(each) for each in found.answers]
        return Access(at=instant, watermark=found.watermark, features=answers)


async def _present(context: Context, whose: Whose) -> datetime:
    if whose.column == "id":
        return await context.present.customer(whose.value)
    return await context.present.external_customer(whose.value)


def _whose(customer_id: str | None, external_id: str | None) -> Whose:
    if customer_id is not None and external_id is None:
        return Whose("id", customer_id)
    if external_id is not None and customer_id is None:
        return Whose("external_id", external_id)
    raise Invalid(
        "customerId: give either customerId or externalCustomerId",
        field="customerId",
        code="ONE_CUSTOMER",
    )
