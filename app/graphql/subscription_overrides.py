"""Prices of a subscription's own, as callers write them."""

from collections.abc import Sequence
from decimal import Decimal

import strawberry

from app.catalog.price_override import PriceOverride
from app.graphql.catalog.adjustments import AdjustmentsInput
from app.graphql.catalog.price_model_inputs import PriceModelInput
from app.kernel.checks import located
from app.subscriptions.subscription import Override


@strawberry.input(
    description="What a subscription pays instead of a price that it buys. What identifies the "
    "charge, such as its meter, currency and cadence, is as in the price."
)
class SubscriptionPriceOverrideInput:
    price_id: strawberry.ID = strawberry.field(
        description="Which of the prices that it buys, as the plan sells it."
    )
    model: PriceModelInput | None = strawberry.field(
        description="How the quantity becomes an amount; null: as in the price.", default=None
    )
    adjustments: AdjustmentsInput | None = strawberry.field(
        description="What is done to the quantity before the model and to the amount after it, "
        "all of it; null: as in the price.",
        default=None,
    )
    quantity: Decimal | None = strawberry.field(
        description="How much of a fixed charge is held; null: as `quantities` says.",
        default=None,
    )


def terms_of(model: PriceModelInput | None, adjustments: AdjustmentsInput | None) -> PriceOverride:
    """Raises: Invalid, whose field is the path from the input that holds both."""
    return PriceOverride(
        model=None if model is None else model.row(),
        adjustments=None if adjustments is None else adjustments.row(),
    )


def overrides_of(given: Sequence[SubscriptionPriceOverrideInput] | None) -> tuple[Override, ...]:
    """Raises: Invalid, whose field is the path from the mutation's input."""
    found = []
    for index, each in enumerate(given or ()):
        with located(f"overrides[{index}]"):
            terms = terms_of(each.model, each.adjustments)
        found.append(Override(price_id=each.price_id, terms=terms, quantity=each.quantity))
    return tuple(found)
