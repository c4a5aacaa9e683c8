"""What one subscription pays instead of a price of the catalogue. Pure.

It is a row like any other: what identifies the charge (its feature, meter, currency, cadence,
timing, grouping) is the original's, and so is its lineage; model and adjustments are its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.catalog.price import Price, PriceStatus
from app.catalog.prices import (
    Adjustments,
    PriceModel,
    adjustments_from_json,
    from_json,
    to_json,
)
from app.kernel.copies import replace
from app.kernel.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverride:
    """None: as the price has it."""

    model: PriceModel | None = None
    adjustments: Adjustments | None = None

    def __bool__(self) -> bool:
        return self.model is not None or self.adjustments is not None


def instead(
    price: Price, terms: PriceOverride, *, subscription_id: str, starts_at: datetime, at: datetime
) -> Price:
    """A price of the subscription's own from `starts_at` on, instead of one that it could have,
    or has already as its own; its meters and its hash are still to be found."""
    own = price.subscription_id is not None
    return replace(
        price,
        id=new_id("pri"),
        plan_id=None,
        plan_version_id=None,
        addon_id=None,
        subscription_id=subscription_id,
        overrides_id=price.catalogue_id,
        instead_of_plan_id=price.sold_with_plan_id,
        offered=False,
        lookup_key=None,
        model=price.model if terms.model is None else terms.model,
        adjustments=price.adjustments if terms.adjustments is None else terms.adjustments,
        content_hash="",
        replaces_id=price.id if own else None,
        effective_from=starts_at,
        effective_until=None,
        status=PriceStatus.ACTIVE,
        created_at=at,
        updated_at=at,
    )


def terms_between(own: Price, original: Price) -> PriceOverride:
    """What of its own a subscription's price has."""
    return PriceOverride(
        model=None if own.model == original.model else own.model,
        adjustments=None if own.adjustments == original.adjustments else own.adjustments,
    )


def to_plain(terms: PriceOverride) -> dict[str, Any]:
    """As a JSON column keeps them."""
    return {
        "model": None if terms.model is None else to_json(terms.model),
        "adjustments": None if terms.adjustments is None else to_json(terms.adjustments),
    }


def from_plain(stored: Mapping[str, Any]) -> PriceOverride:
    """The inverse of `to_plain`."""
    model, adjustments = stored["model"], stored["adjustments"]
    return PriceOverride(
        model=None if model is None else from_json(msgspec.json.encode(model)),
        adjustments=None
        if adjustments is None
        else adjustments_from_json(msgspec.json.encode(adjustments)),
    )
