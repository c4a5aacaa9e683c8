"""A line as it is rated. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from app.catalog.prices import Step
from app.invoicing.invoice import LineKind
from app.kernel.period import Period


class RatedLine(Struct, frozen=True):
    """A line before it belongs to an invoice; see `InvoiceLine` for the fields."""

    kind: LineKind
    item_id: str | None
    price_id: str | None
    meter_id: str | None
    description: str
    group: Mapping[str, str | None]
    quantity: Decimal
    amount: Decimal
    currency: str
    service: Period
    price: Mapping[str, Any]
    explanation: Step
