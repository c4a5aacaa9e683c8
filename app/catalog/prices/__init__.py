"""The price models: from a quantity to an exact amount, and to how it came about. Pure.

To add one: a module here, and its name in `PriceModel`, `MODELS` and `RULES`. As JSON a model
is tagged by `model`, and its decimals are strings: `{"model": "per_unit", "unit_amount": "0.5"}`.
"""

import hashlib
from decimal import Decimal
from typing import Any

import msgspec

from app.catalog.prices import adjustments, flat, graduated, package, per_unit, tiers, volume
from app.catalog.prices.adjustments import NO_ADJUSTMENTS, Adjustments
from app.catalog.prices.explanation import Rule, Step
from app.catalog.prices.flat import Flat
from app.catalog.prices.graduated import Graduated
from app.catalog.prices.package import Package
from app.catalog.prices.per_unit import PerUnit
from app.catalog.prices.tiers import Tier, ZeroUsage
from app.catalog.prices.volume import Volume
from app.kernel.quantity import plain

PriceModel = Flat | PerUnit | Package | Graduated | Volume
MODELS: tuple[type[PriceModel], ...] = (Flat, PerUnit, Package, Graduated, Volume)
# What the steps of every trace mean.
RULES: dict[str, Rule] = (
    adjustments.RULES
    | flat.RULES
    | per_unit.RULES
    | package.RULES
    | tiers.RULES
    | graduated.RULES
    | volume.RULES
)

_decoder: msgspec.json.Decoder[PriceModel] = msgspec.json.Decoder(PriceModel)
_adjustments = msgspec.json.Decoder(Adjustments)


def to_json(model: PriceModel | Adjustments) -> dict[str, Any]:
    """As stored: equal models give equal JSON, however their decimals were written."""
    stored: dict[str, Any] = _plain(msgspec.to_builtins(model, builtin_types=(Decimal,)))
    return stored


def from_json(text: str | bytes) -> PriceModel:
    """What `to_json` wrote. Raises: Invalid, msgspec.ValidationError."""
    return _decoder.decode(text)


def adjustments_from_json(text: str | bytes) -> Adjustments:
    """What `to_json` wrote. Raises: Invalid, msgspec.ValidationError."""
    return _adjustments.decode(text)


def content_hash(substance: Any) -> str:
    """The SHA-256, as 64 hex digits, of plain JSON data; the order of keys does not matter."""
    canonical = msgspec.json.encode(substance, order="sorted")
    return hashlib.sha256(canonical).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


__all__ = [
    "MODELS",
    "NO_ADJUSTMENTS",
    "RULES",
    "Adjustments",
    "Flat",
    "Graduated",
    "Package",
    "PerUnit",
    "PriceModel",
    "Rule",
    "Step",
    "Tier",
    "Volume",
    "ZeroUsage",
    "adjustments_from_json",
    "content_hash",
    "from_json",
    "to_json",
]
