"""Runs the cases of pricing.json through the price models.

Each adapter takes a case's `input` and gives what its `expected` may hold.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from app.catalog.prices import (
    Flat,
    Graduated,
    Package,
    PerUnit,
    PriceModel,
    Tier,
    Volume,
)

Case = Mapping[str, Any]


def model_of(kind: str, properties: Mapping[str, Any]) -> PriceModel:
    """The price model that a case's `model` and `properties` describe."""
    return _MODELS[kind](properties)


def priced(case: Case) -> dict[str, Decimal]:
    model = model_of(case["model"], case["properties"])
    return {"amount": model.amount(Decimal(case["quantity"]))}


def flat(case: Case) -> dict[str, Decimal]:
    """A flat amount does not depend on usage: the case's quantity, if any, is usage."""
    return {"amount": model_of("flat", case["properties"]).amount(Decimal(1))}


def _tiers(properties: Mapping[str, Any]) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            None if tier["up_to"] is None else Decimal(tier["up_to"]),
            Decimal(tier["unit_amount"]),
            Decimal(tier["flat_amount"]),
        )
        for tier in properties["tiers"]
    )


_MODELS: dict[str, Callable[[Mapping[str, Any]], PriceModel]] = {
    "flat": lambda p: Flat(Decimal(p["amount"])),
    "per_unit": lambda p: PerUnit(Decimal(p["unit_amount"])),
    "package": lambda p: Package(
        Decimal(p["package_amount"]),
        Decimal(p["package_size"]),
        p.get("rounding", "up"),
        Decimal(p.get("free_units", "0")),
    ),
    "graduated": lambda p: Graduated(_tiers(p), p.get("zero_usage", "zero")),
    "volume": lambda p: Volume(_tiers(p), p.get("zero_usage", "zero")),
}

ADAPTERS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    "flat": flat,
    "per_unit": priced,
    "package": priced,
    "graduated": priced,
    "volume": priced,
}
