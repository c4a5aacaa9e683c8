"""The price models: from figures of usage to an exact amount, and to how it came about. Pure.

`models` lists them and says how to add one. As JSON a model is tagged by `model`, and its
decimals are strings: `{"model": "per_unit", "unit_amount": "0.5"}`. `needs` tells what must be
known of usage, `charging` applies a model with its adjustments.
"""

import hashlib
from typing import Any

import msgspec

from app.catalog.prices import (
    adjustments,
    charging,
    conversion,
    delta,
    dynamic,
    flat,
    formula,
    graduated,
    graduated_percentage,
    matrix,
    package,
    per_unit,
    percentage,
    prorated_graduated,
    tiers,
    volume,
)
from app.catalog.prices.adjustments import NO_ADJUSTMENTS, Adjustments, Bucket, Transform
from app.catalog.prices.conversion import Conversion, converted
from app.catalog.prices.dynamic import Dynamic
from app.catalog.prices.explanation import Rule, Step, merged
from app.catalog.prices.figures import Cell, Figures, MeterFigure, WindowFigure
from app.catalog.prices.flat import Flat
from app.catalog.prices.formula import Formula, Variable
from app.catalog.prices.graduated import Graduated
from app.catalog.prices.graduated_percentage import GraduatedPercentage, PercentageTier
from app.catalog.prices.matrix import Matrix, MatrixRow, RowModel
from app.catalog.prices.models import (
    MODELS,
    PriceModel,
    QuantityModel,
    adjustments_from_json,
    from_json,
    to_json,
)
from app.catalog.prices.package import Package
from app.catalog.prices.per_unit import PerUnit
from app.catalog.prices.percentage import Percentage
from app.catalog.prices.tiers import Tier, ZeroUsage
from app.catalog.prices.volume import Volume

# What the steps of every trace mean.
RULES: dict[str, Rule] = merged(
    adjustments.RULES,
    charging.RULES,
    conversion.RULES,
    delta.RULES,
    dynamic.RULES,
    flat.RULES,
    formula.RULES,
    graduated.RULES,
    graduated_percentage.RULES,
    matrix.RULES,
    package.RULES,
    per_unit.RULES,
    percentage.RULES,
    prorated_graduated.RULES,
    tiers.RULES,
    volume.RULES,
)


def content_hash(substance: Any) -> str:
    """The SHA-256, as 64 hex digits, of plain JSON data; the order of keys does not matter."""
    canonical = msgspec.json.encode(substance, order="sorted")
    return hashlib.sha256(canonical).hexdigest()


__all__ = [
    "MODELS",
    "NO_ADJUSTMENTS",
    "RULES",
    "Adjustments",
    "Bucket",
    "Cell",
    "Conversion",
    "Dynamic",
    "Figures",
    "Flat",
    "Formula",
    "Graduated",
    "GraduatedPercentage",
    "Matrix",
    "MatrixRow",
    "MeterFigure",
    "Package",
    "PerUnit",
    "Percentage",
    "PercentageTier",
    "PriceModel",
    "QuantityModel",
    "RowModel",
    "Rule",
    "Step",
    "Tier",
    "Transform",
    "Variable",
    "Volume",
    "WindowFigure",
    "ZeroUsage",
    "adjustments_from_json",
    "content_hash",
    "converted",
    "from_json",
    "to_json",
]
