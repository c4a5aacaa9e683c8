"""What a subscription holds of the catalogue: its plan, and addons, as they were when bought."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from app.catalog.entitlement import Owner


class Holding(Struct, frozen=True):
    """A plan or an addon held from `starts_at` (None: the subscription's start) until
    `ends_at` (exclusive; None: its end).

    `key` is the id of the first holding of its history: one of another quantity takes over.
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
    key: str = ""

    def covers(self, at: datetime) -> bool:
        begun = self.starts_at is None or self.starts_at <= at
        return begun and (self.ends_at is None or at < self.ends_at)
