"""The price models as the graph shows them. What callers write is in `price_model_inputs`."""

from decimal import Decimal
from enum import Enum
from typing import Annotated, Self

import strawberry

from app.catalog import prices as models
from app.catalog.prices.warnings import PriceWarning as WarningRow


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


@strawberry.enum(description="How the usage that belongs to one row of a matrix is priced.")
class MatrixCells(Enum):
    TOGETHER = strawberry.enum_value("together", description="All of it as one quantity.")
    APART = strawberry.enum_value(
        "apart", description="Each combination of the matrix's dimensions on its own."
    )


@strawberry.enum(description="The price models.")
class PriceModelKind(Enum):
    FLAT = strawberry.enum_value("flat", description="An amount for the period.")
    PER_UNIT = strawberry.enum_value("per_unit", description="The same for every unit.")
    PACKAGE = strawberry.enum_value("package", description="An amount per package of units.")
    GRADUATED = strawberry.enum_value("graduated", description="Each unit in its own tier.")
    VOLUME = strawberry.enum_value("volume", description="All units in one tier.")
    GRADUATED_PERCENTAGE = strawberry.enum_value(
        "graduated_percentage", description="A percentage of an amount, by tiers."
    )
    DYNAMIC = strawberry.enum_value("dynamic", description="The amounts that events carry.")
    PERCENTAGE = strawberry.enum_value(
        "percentage", description="A percentage of every event's amount, and a fee per event."
    )
    MATRIX = strawberry.enum_value("matrix", description="A price per row of a table.")
    FORMULA = strawberry.enum_value("formula", description="An expression over several meters.")


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
    def of(cls, row: models.Tier) -> Self:
        return cls(up_to=row.up_to, unit_amount=row.unit_amount, flat_amount=row.flat_amount)


@strawberry.type(description="Every unit is charged in the tier it falls in.")
class GraduatedModel:
    tiers: list[Tier] = strawberry.field(description="Ascending; the last has no end.")
    zero_usage: ZeroUsage = strawberry.field(description="What is charged for a quantity of 0.")


@strawberry.type(description="The tier that holds the whole quantity prices all of it.")
class VolumeModel:
    tiers: list[Tier] = strawberry.field(description="Ascending; the last has no end.")
    zero_usage: ZeroUsage = strawberry.field(description="What is charged for a quantity of 0.")


@strawberry.type(description="A range of amounts, above the tier before up to its own bound.")
class PercentageTier:
    up_to: Decimal | None = strawberry.field(
        description="The last amount of the tier, which it includes; null: no end."
    )
    rate_percent: Decimal = strawberry.field(
        description="Of what falls in the tier, in percent: 1.5 is 1.5 %."
    )
    flat_amount: Decimal = strawberry.field(description="Added once when the tier is entered.")

    @classmethod
    def of(cls, row: models.PercentageTier) -> Self:
        return cls(up_to=row.up_to, rate_percent=row.rate_percent, flat_amount=row.flat_amount)


@strawberry.type(
    description="A percentage of an amount, each part of it at the rate of the tier it falls in."
)
class GraduatedPercentageModel:
    tiers: list[PercentageTier] = strawberry.field(description="Ascending; the last has no end.")
    zero_usage: ZeroUsage = strawberry.field(description="What is charged for an amount of 0.")


@strawberry.type(description="The amounts that the events carry, times a multiplier.")
class DynamicModel:
    multiplier: Decimal = strawberry.field(description="1 leaves the amounts as they are.")


@strawberry.type(
    description="A percentage of the amount of every event, and a fixed fee per event. Events "
    "are looked at in order of time."
)
class PercentageModel:
    rate_percent: Decimal = strawberry.field(
        description="Of an event's amount, as far as it is not free, in percent."
    )
    fixed_per_event: Decimal = strawberry.field(description="For every event that is not free.")
    free_events: int | None = strawberry.field(
        description="How many events are free, or, with `freeAmount`, how many may draw on it."
    )
    free_amount: Decimal | None = strawberry.field(
        description="Up to which running total of amounts nothing is charged."
    )
    min_per_event: Decimal | None = strawberry.field(
        description="An event that is not free costs at least this."
    )
    max_per_event: Decimal | None = strawberry.field(
        description="An event that is not free costs at most this."
    )


@strawberry.type(description="A dimension has one of these values.")
class MatrixMatch:
    dimension: str = strawberry.field(description="A dimension of the meter.")
    values: list[str] = strawberry.field(description="As events write them.")


RowPriceModel = Annotated[
    PerUnitModel
    | PackageModel
    | GraduatedModel
    | VolumeModel
    | GraduatedPercentageModel
    | DynamicModel,
    strawberry.union("RowPriceModel", description="How the quantity of a row becomes an amount."),
]


@strawberry.type(description="What costs this: the usage that matches, and no row before.")
class MatrixRow:
    match: list[MatrixMatch] = strawberry.field(description="All of them hold.")
    price: RowPriceModel = strawberry.field(description="How its quantity becomes an amount.")
    display_name: str | None = strawberry.field(description="As invoices show a line of its own.")


@strawberry.type(description="A price per row of a table over the meter's dimensions.")
class MatrixModel:
    rows: list[MatrixRow] = strawberry.field(description="The first that matches prices usage.")
    default: RowPriceModel = strawberry.field(description="Prices what matches no row.")
    default_name: str | None = strawberry.field(
        description="As invoices show what matches no row on a line of its own."
    )
    cells: MatrixCells = strawberry.field(description="How the usage of one row is priced.")
    line_per_row: bool = strawberry.field(
        description="Whether each row with usage is a line of the invoice."
    )


@strawberry.type(description="A name of a formula: what a feature's meter counts.")
class FormulaVariable:
    name: str = strawberry.field(description="As the expression writes it.")
    unit: str = strawberry.field(description="What is counted, such as `token`.")
    feature_id: strawberry.ID | None = strawberry.field(description="The metered feature.")
    meter_id: strawberry.ID | None = strawberry.field(description="The meter that counts it.")


@strawberry.type(description="An expression over several meters, in the price's currency.")
class FormulaModel:
    expression: str = strawberry.field(description="In its canonical spelling.")
    variables: list[FormulaVariable] = strawberry.field(description="Its names.")


PriceModel = Annotated[
    FlatModel
    | PerUnitModel
    | PackageModel
    | GraduatedModel
    | VolumeModel
    | GraduatedPercentageModel
    | DynamicModel
    | PercentageModel
    | MatrixModel
    | FormulaModel,
    strawberry.union("PriceModel", description="How a quantity becomes an amount."),
]


@strawberry.type(description="Something in a price that may not be meant.")
class PriceWarning:
    code: str = strawberry.field(description="Stable, in SCREAMING_SNAKE_CASE.")
    message: str = strawberry.field(description="What may happen.")
    field: str = strawberry.field(description="Where, such as `model.volume.tiers[1]`.")

    @classmethod
    def of(cls, row: WarningRow) -> Self:
        return cls(code=row.code, message=row.message, field=row.field)


def shown(model: models.PriceModel) -> PriceModel:
    """The model as the graph shows it."""
    match model:
        case models.Flat():
            return FlatModel(flat_amount=model.flat_amount)
        case models.Percentage():
            return PercentageModel(
                rate_percent=model.rate_percent,
                fixed_per_event=model.fixed_per_event,
                free_events=model.free_events,
                free_amount=model.free_amount,
                min_per_event=model.min_per_event,
                max_per_event=model.max_per_event,
            )
        case models.Matrix():
            return _matrix(model)
        case models.Formula():
            variables = [
                FormulaVariable(
                    name=each.name,
                    unit=each.unit,
                    feature_id=_id(each.feature_id),
                    meter_id=_id(each.meter_id),
                )
                for each in model.variables
            ]
            return FormulaModel(expression=model.text, variables=variables)
        case _:
            return _row_model(model)


def _row_model(model: models.RowModel) -> RowPriceModel:
    match model:
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
            tiers, zero = [Tier.of(row) for row in model.tiers], ZeroUsage(model.zero_usage)
            return GraduatedModel(tiers=tiers, zero_usage=zero)
        case models.Volume():
            tiers, zero = [Tier.of(row) for row in model.tiers], ZeroUsage(model.zero_usage)
            return VolumeModel(tiers=tiers, zero_usage=zero)
        case models.GraduatedPercentage():
            return GraduatedPercentageModel(
                tiers=[PercentageTier.of(row) for row in model.tiers],
                zero_usage=ZeroUsage(model.zero_usage),
            )
        case models.Dynamic():
            return DynamicModel(multiplier=model.multiplier)


def _matrix(model: models.Matrix) -> MatrixModel:
    return MatrixModel(
        rows=[
            MatrixRow(
                match=[
                    MatrixMatch(dimension=each.property, values=list(each.values))
                    for each in row.match
                ],
                price=_row_model(row.price),
                display_name=row.display_name,
            )
            for row in model.rows
        ],
        default=_row_model(model.default),
        default_name=model.default_name,
        cells=MatrixCells(model.cells),
        line_per_row=model.line_per_row,
    )


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)
