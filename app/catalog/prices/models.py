"""Every price model, and their JSON. To add one: a module beside this one, and its name here."""

from decimal import Decimal
from typing import Any

import msgspec

from app.catalog.prices.adjustments import Adjustments
from app.catalog.prices.dynamic import Dynamic
from app.catalog.prices.flat import Flat
from app.catalog.prices.formula import Formula
from app.catalog.prices.graduated import Graduated
from app.catalog.prices.graduated_percentage import GraduatedPercentage
from app.catalog.prices.matrix import Matrix
from app.catalog.prices.package import Package
from app.catalog.prices.per_unit import PerUnit
from app.catalog.prices.percentage import Percentage
from app.catalog.prices.volume import Volume
from app.kernel.quantity import plain

# What is priced from one quantity.
QuantityModel = Flat | PerUnit | Package | Graduated | Volume | GraduatedPercentage | Dynamic
PriceModel = QuantityModel | Percentage | Matrix | Formula
MODELS: tuple[type[PriceModel], ...] = (
    Flat,
    PerUnit,
    Package,
    Graduated,
    Volume,
    GraduatedPercentage,
    Dynamic,
    Percentage,
    Matrix,
    Formula,
)
_models: msgspec.json.Decoder[PriceModel] = msgspec.json.Decoder(PriceModel)
_adjustments = msgspec.json.Decoder(Adjustments)


def to_json(model: PriceModel | Adjustments) -> dict[str, Any]:
    """As stored: equal models give equal JSON, however their decimals were written."""
    stored: dict[str, Any] = _plain(msgspec.to_builtins(model, builtin_types=(Decimal,)))
    return stored


def from_json(text: str | bytes) -> PriceModel:
    """What `to_json` wrote. Raises: Invalid, msgspec.ValidationError."""
    return _models.decode(text)


def adjustments_from_json(text: str | bytes) -> Adjustments:
    """What `to_json` wrote. Raises: Invalid, msgspec.ValidationError."""
    return _adjustments.decode(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
