"""How much of fixed charges and of addons is held, as callers write it."""

from collections.abc import Sequence
from decimal import Decimal

import strawberry

from app.subscriptions.change import AttachAddon
from app.subscriptions.subscription import Held


@strawberry.input(description="How much of a fixed charge is held.")
class HeldQuantityInput:
    price_id: strawberry.ID = strawberry.field(
        description="A fixed price of the plan, in the subscription's currency and cadence."
    )
    quantity: Decimal = strawberry.field(description="How much, such as seats; not negative.")


@strawberry.input(description="An addon that is bought with a subscription.")
class BoughtAddonInput:
    addon_id: strawberry.ID = strawberry.field(description="Which addon.")
    quantity: Decimal = strawberry.field(description="How much of it; above 0.", default=Decimal(1))


def bought(addons: Sequence[BoughtAddonInput] | None) -> tuple[AttachAddon, ...]:
    return tuple(
        AttachAddon(addon_id=each.addon_id, quantity=each.quantity) for each in addons or ()
    )


def held(quantities: Sequence[HeldQuantityInput] | None) -> tuple[Held, ...]:
    return tuple(Held(each.price_id, each.quantity) for each in quantities or ())
