"""What a subscription holds of the catalogue: its plan, and addons, as they were when bought."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.catalog.entitlement import Owner


@dataclass(frozen=True, slots=True)
class Holding:
    """A plan or an addon held from `starts_at` (None: the subscription's start) until
    `ends_at` (exclusive; None: its end).

    `entitlement_ids` are the rows bought with it, which never change. `quantity` multiplies
    the limits of those that are metered.
    """

    id: str
    subscription_id: str
    owner: Owner
    quantity: Decimal
    entitlement_ids: tuple[str, ...]
    starts_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    updated_at: datetime
