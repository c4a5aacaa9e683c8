"""The price models in the graph: a union to read, an input of exactly one to write."""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Self, cast

import strawberry

from app.catalog import prices as models
from app.catalog.prices.tiers import MOST_TIERS
from app.catalog.prices.tiers import Tier as TierRow
from app.kernel.checks import located
from app.kernel.errors import Invalid


@strawberry.enum(description="What a package that was only begun counts as.")
class PackageRounding(Enum):
    UP = strawberry.enum_value("up", description="A whole package.")
    DOWN = strawberry.enum_value("down", description="None.")


@strawberry.enum(description="What tiers charge when nothing was used.")
class ZeroUsage(Enum):
    ZERO = strawberry.enum_value("zero", description="Nothing.")
    FIRST_TIER_FLAT = strawberry.enum_value(
        "first_tier_flat", description="The flat amount of the first tier."
    )


@strawberry.enum(description="The price models.")
class PriceModelKind(Enum):
    FLAT = strawberry.enum_value("flat", description="An amount for the period.")
    PER_UNIT = strawberry.enum_value("per_unit", description="The same for every unit.")
    PACKAGE = strawberry.enum_value("package", description="An amount per package of units.")
    GRADUATED = strawberry.enum_value("graduated", description="Each unit in its own tier.")
    VOLUME = strawberry.enum_value("volume", description="All units in one tier.")


@strawberry.type(description="An amount for the period, times the quantity held.")
class FlatModel:
    flat_amount: Decimal = strawberry.field(description="In major units of the price's currency.")


@strawberry.type(description="The same amount for every unit, fractions in proportion.")
class PerUnitModel:
    unit_amount: Decimal = strawberry.field(description="In major units of the price's currency.")


@strawberry.type(description="An amount per package of units, after some free units.")
class PackageModel:
    package_amount: Decimal = strawberry.field(
        description="In major units of the price's currency."
    )
    size: Decimal = strawberry.field(description="How many units a package holds.")
    rounding: PackageRounding = strawberry.field(
        description="What a package that was only begun counts as."
    )
    free_units: Decimal = strawberry.field(description="Units that cost nothing, taken off first.")


@strawberry.type(description="A range of quantities, above the tier before up to its own bound.")
class Tier:
    up_to: Decimal | None = strawberry.field(
        description="The last quantity of the tier, which it includes; null: no end."
    )
    unit_amount: Decimal = strawberry.field(description="For every unit charged in the tier.")
    flat_amount: Decimal = strawberry.field(description="Added once when the tier is entered.")

    @classmethod
    def of(cls, row: TierRow) -> Self:
        return cls(up_to=row.up_to, unit_amount=row.unit_amount, flat_amount=row.flat_amount)


@strawberry.type(description="Every unit is charged in the tier it falls in.")
class GraduatedModel:
    tiers: list[Tier] = strawberry.field(description="Ascending; the last has no end.")
    zero_usage: ZeroUsage = strawberry.field(description="What is charged for a quantity of 0.")


@strawberry.type(description="The tier that holds the whole quantity prices all of it.")
class VolumeModel:
    tiers: list[Tier] = strawberry.field(description="Ascending; the last has no end.")
    zero_usage: ZeroUsage = strawberry.field(description="What is charged for a quantity of 0.")


PriceModel = Annotated[
    FlatModel | PerUnitModel | PackageModel | GraduatedModel | VolumeModel,
    strawberry.union("PriceModel", description="How a quantity becomes an amount."),
]


def shown(model: models.PriceModel) -> PriceModel:
    """The model as the graph shows it."""
    match model:
        case models.Flat():
            return FlatModel(flat_amount=model.flat_amount)
        case models.PerUnit():
            return PerUnitModel(unit_amount=model.unit_amount)
        case models.Package():
            return PackageModel(
                package_amount=model.package_amount,
                size=model.size,
                rounding=PackageRounding(model.rounding),
                free_units=model.free_units,
            )
        case models.Graduated():
            rows, zero = [Tier.of(row) for row in model.tiers], ZeroUsage(model.zero_usage)
            return GraduatedModel(tiers=rows, zero_usage=zero)
        case models.Volume():
            rows, zero = [Tier.of(row) for row in model.tiers], ZeroUsage(model.zero_usage)
            return VolumeModel(tiers=rows, zero_usage=zero)


@strawberry.input(description="An amount for the period, times the quantity held.")
class FlatModelInput:
    flat_amount: Decimal = strawberry.field(description="In major units of the price's currency.")

    def row(self) -> models.Flat:
        return models.Flat(self.flat_amount)


@strawberry.input(description="The same amount for every unit, fractions in proportion.")
class PerUnitModelInput:
    unit_amount: Decimal = strawberry.field(description="In major units of the price's currency.")

    def row(self) -> models.PerUnit:
        return models.PerUnit(self.unit_amount)


@strawberry.input(description="An amount per package of units, after some free units.")
class PackageModelInput:
    package_amount: Decimal = strawberry.field(
        description="In major units of the price's currency."
    )
    size: Decimal = strawberry.field(description="How many units a package holds; above 0.")
    rounding: PackageRounding = strawberry.field(
        description="What a package that was only begun counts as.", default=PackageRounding.UP
    )
    free_units: Decimal = strawberry.field(
        description="Units that cost nothing, taken off first.", default=Decimal(0)
    )

    def row(self) -> models.Package:
        rounding = cast("Literal['up', 'down']", self.rounding.value)
        return models.Package(self.package_amount, self.size, rounding, self.free_units)


@strawberry.input(description="A range of quantities, above the tier before up to its own bound.")
class TierInput:
    up_to: Decimal | None = strawberry.field(
        description="The last quantity of the tier, which it includes; null for the last tier."
    )
    unit_amount: Decimal = strawberry.field(
        description="For every unit charged in the tier.", default=Decimal(0)
    )
    flat_amount: Decimal = strawberry.field(
        description="Added once when the tier is entered.", default=Decimal(0)
    )


def _tiers(given: Sequence[TierInput]) -> tuple[TierRow, ...]:
    return tuple(TierRow(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in given)


@strawberry.input(description="Every unit is charged in the tier it falls in.")
class GraduatedModelInput:
    tiers: list[TierInput] = strawberry.field(
        description=f"1 to {MOST_TIERS}, ascending; the last has no end."
    )
    zero_usage: ZeroUsage = strawberry.field(
        description="What to charge for a quantity of 0.", default=ZeroUsage.ZERO
    )

    def row(self) -> models.Graduated:
        zero = cast("models.ZeroUsage", self.zero_usage.value)
        return models.Graduated(_tiers(self.tiers), zero)


@strawberry.input(description="The tier that holds the whole quantity prices all of it.")
class VolumeModelInput:
    tiers: list[TierInput] = strawberry.field(
        description=f"1 to {MOST_TIERS}, ascending; the last has no end."
    )
    zero_usage: ZeroUsage = strawberry.field(
        description="What to charge for a quantity of 0.", default=ZeroUsage.ZERO
    )

    def row(self) -> models.Volume:
        zero = cast("models.ZeroUsage", self.zero_usage.value)
        return models.Volume(_tiers(self.tiers), zero)


@strawberry.input(description="How a quantity becomes an amount: exactly one.", one_of=True)
class PriceModelInput:
    flat: strawberry.Maybe[FlatModelInput] = strawberry.field(
        description="An amount for the period; for fixed charges."
    )
    per_unit: strawberry.Maybe[PerUnitModelInput] = strawberry.field(
        description="The same for every unit."
    )
    package: strawberry.Maybe[PackageModelInput] = strawberry.field(
        description="An amount per package of units."
    )
    graduated: strawberry.Maybe[GraduatedModelInput] = strawberry.field(
        description="Each unit in the tier it falls in."
    )
    volume: strawberry.Maybe[VolumeModelInput] = strawberry.field(
        description="All units in the tier that holds the whole quantity."
    )

    def row(self) -> models.PriceModel:
        """Raises: Invalid, whose field is the path from the mutation's input."""
        for name, path in _PATHS.items():
            given: Any = getattr(self, name)
            if given is not None:
                with located(f"model.{path}"):
                    model: models.PriceModel = given.value.row()
                return model
        raise Invalid("model: name one of its fields", field="model", code="REQUIRED")


_PATHS = {
    "flat": "flat",
    "per_unit": "perUnit",
    "package": "package",
    "graduated": "graduated",
    "volume": "volume",
}
