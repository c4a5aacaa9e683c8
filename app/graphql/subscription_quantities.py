"""How much of fixed charges is held, as callers write it."""

from collections.abc import Sequence
from decimal import Decimal

import strawberry

from app.subscriptions.subscription import Held


@strawberry.input(description="How much of a fixed charge is held.")
class HeldQuantityInput:
    price_id: strawberry.ID = strawberry.field(
        description="A fixed price of the plan, in the subscription's currency and cadence."
    )
    quantity: Decimal = strawberry.field(description="How much, such as seats; not negative.")


def held(quantities: Sequence[HeldQuantityInput] | None) -> tuple[Held, ...]:
    return tuple(Held(each.price_id, each.quantity) for each in quantities or ())
