"""The price models as callers write them: an input of exactly one."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, cast

import strawberry

from app.catalog import prices as models
from app.catalog.prices import formula, matrix, tiers
from app.catalog.prices.formulas import parser
from app.graphql.catalog.price_models import MatrixCells, PackageRounding, ZeroUsage
from app.kernel.checks import located
from app.kernel.errors import Invalid
from app.metering.filters import Match


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


def _tiers(given: Sequence[TierInput]) -> tuple[models.Tier, ...]:
    return tuple(models.Tier(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in given)


def _zero(given: ZeroUsage) -> models.ZeroUsage:
    return cast("models.ZeroUsage", given.value)


@strawberry.input(description="Every unit is charged in the tier it falls in.")
class GraduatedModelInput:
    tiers: list[TierInput] = strawberry.field(
        description=f"1 to {tiers.MOST_TIERS}, ascending; the last has no end."
    )
    zero_usage: ZeroUsage = strawberry.field(
        description="What to charge for a quantity of 0.", default=ZeroUsage.ZERO
    )

    def row(self) -> models.Graduated:
        return models.Graduated(_tiers(self.tiers), _zero(self.zero_usage))


@strawberry.input(description="The tier that holds the whole quantity prices all of it.")
class VolumeModelInput:
    tiers: list[TierInput] = strawberry.field(
        description=f"1 to {tiers.MOST_TIERS}, ascending; the last has no end."
    )
    zero_usage: ZeroUsage = strawberry.field(
        description="What to charge for a quantity of 0.", default=ZeroUsage.ZERO
    )

    def row(self) -> models.Volume:
        return models.Volume(_tiers(self.tiers), _zero(self.zero_usage))


@strawberry.input(description="A range of amounts, above the tier before up to its own bound.")
class PercentageTierInput:
    up_to: Decimal | None = strawberry.field(
        description="The last amount of the tier, which it includes; null for the last tier."
    )
    rate_percent: Decimal = strawberry.field(
        description="Of what falls in the tier, in percent.", default=Decimal(0)
    )
    flat_amount: Decimal = strawberry.field(
        description="Added once when the tier is entered.", default=Decimal(0)
    )


@strawberry.input(
    description="A percentage of an amount, each part of it at the rate of the tier it falls in."
)
class GraduatedPercentageModelInput:
    tiers: list[PercentageTierInput] = strawberry.field(
        description=f"1 to {tiers.MOST_TIERS}, ascending; the last has no end."
    )
    zero_usage: ZeroUsage = strawberry.field(
        description="What to charge for an amount of 0.", default=ZeroUsage.ZERO
    )

    def row(self) -> models.GraduatedPercentage:
        rows = tuple(
            models.PercentageTier(tier.up_to, tier.rate_percent, tier.flat_amount)
            for tier in self.tiers
        )
        return models.GraduatedPercentage(rows, _zero(self.zero_usage))


@strawberry.input(
    description="The amounts that the events carry, in the price's currency; for usage that a "
    "meter sums."
)
class DynamicModelInput:
    multiplier: Decimal = strawberry.field(
        description="What the amounts are multiplied by.", default=Decimal(1)
    )

    def row(self) -> models.Dynamic:
        return models.Dynamic(self.multiplier)


@strawberry.input(
    description="A percentage of the amount of every event, and a fixed fee per event; for "
    "usage that a meter sums. Events are looked at in order of time."
)
class PercentageModelInput:
    rate_percent: Decimal = strawberry.field(
        description="Of an event's amount, as far as it is not free, in percent: 1.5 is 1.5 %."
    )
    fixed_per_event: Decimal = strawberry.field(
        description="For every event that is not free.", default=Decimal(0)
    )
    free_events: int | None = strawberry.field(
        description="How many events are free, or, with `freeAmount`, how many may draw on it.",
        default=None,
    )
    free_amount: Decimal | None = strawberry.field(
        description="Up to which running total of amounts nothing is charged.", default=None
    )
    min_per_event: Decimal | None = strawberry.field(
        description="An event that is not free costs at least this.", default=None
    )
    max_per_event: Decimal | None = strawberry.field(
        description="An event that is not free costs at most this.", default=None
    )

    def row(self) -> models.Percentage:
        return models.Percentage(
            self.rate_percent,
            self.fixed_per_event,
            self.free_events,
            self.free_amount,
            self.min_per_event,
            self.max_per_event,
        )


@strawberry.input(description="How the quantity of a row becomes an amount: one.", one_of=True)
class RowPriceModelInput:
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
    graduated_percentage: strawberry.Maybe[GraduatedPercentageModelInput] = strawberry.field(
        description="A percentage of an amount, by tiers."
    )
    dynamic: strawberry.Maybe[DynamicModelInput] = strawberry.field(
        description="The amounts that events carry."
    )

    def row(self, path: str) -> models.RowModel:
        """Raises: Invalid, whose field is the path from the mutation's input."""
        return cast("models.RowModel", _chosen(self, _ROW_PATHS, path))


@strawberry.input(description="A dimension has one of these values.")
class MatrixMatchInput:
    dimension: str = strawberry.field(description="A dimension of the feature's meter.")
    values: list[str] = strawberry.field(
        description=f"1 to {matrix.MOST_VALUES}, as events write them."
    )


@strawberry.input(description="What costs this: the usage that matches, and no row before.")
class MatrixRowInput:
    match: list[MatrixMatchInput] = strawberry.field(
        description="All of them must hold; usage without the dimension matches none."
    )
    price: RowPriceModelInput = strawberry.field(description="How its quantity becomes an amount.")
    display_name: str | None = strawberry.field(
        description="As invoices show it on a line of its own.", default=None
    )

    def row(self) -> models.MatrixRow:
        match = tuple(Match(each.dimension, tuple(each.values)) for each in self.match)
        return models.MatrixRow(match, self.price.row("price"), self.display_name)


@strawberry.input(description="A price per row of a table over the meter's dimensions.")
class MatrixModelInput:
    rows: list[MatrixRowInput] = strawberry.field(
        description=f"1 to {matrix.MOST_ROWS}; usage belongs to the first that matches."
    )
    default: RowPriceModelInput = strawberry.field(description="Prices what matches no row.")
    default_name: str | None = strawberry.field(
        description="As invoices show what matches no row on a line of its own.", default=None
    )
    cells: MatrixCells = strawberry.field(
        description="How the usage of one row is priced.", default=MatrixCells.TOGETHER
    )
    line_per_row: bool = strawberry.field(
        description="Make a line of the invoice for each row with usage.", default=False
    )

    def row(self) -> models.Matrix:
        rows = []
        for index, each in enumerate(self.rows):
            with located(f"rows[{index}]"):
                rows.append(each.row())
        return models.Matrix(
            tuple(rows),
            self.default.row("default"),
            self.default_name,
            cast("Literal['together', 'apart']", self.cells.value),
            self.line_per_row,
        )


@strawberry.input(description="A name of a formula: what a feature's meter counts.")
class FormulaVariableInput:
    name: str = strawberry.field(description="As the expression writes it: letters, digits, _.")
    unit: str = strawberry.field(description="What is counted, such as `token`.")
    feature_id: strawberry.ID | None = strawberry.field(
        description="The metered feature; needed for a price, not for a quote.", default=None
    )


@strawberry.input(
    description="An expression over several meters. Numbers may have a unit, `0.002[USD/token]`; "
    "what is added or compared needs the same unit, and the whole must come out in the price's "
    "currency. There are + - * /, min, max, clamp(x, low, high), divide(a, b, fallback), "
    "ceil, floor and round(x, decimals), if(a < b, then, else), lookup(x, bound: value, …, last) "
    "and graduated(x, bound: rate, …, last). Nothing is divided by what may be 0."
)
class FormulaModelInput:
    expression: str = strawberry.field(
        description=f"At most {parser.LONGEST} characters and {formula.MOST_NODES} parts."
    )
    variables: list[FormulaVariableInput] = strawberry.field(
        description=f"1 to {formula.MOST_VARIABLES}, all of which the expression uses."
    )

    def row(self) -> models.Formula:
        variables = tuple(
            models.Variable(each.name, each.unit, each.feature_id) for each in self.variables
        )
        return models.Formula.parsed(self.expression, variables)


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
    graduated_percentage: strawberry.Maybe[GraduatedPercentageModelInput] = strawberry.field(
        description="A percentage of an amount, by tiers."
    )
    dynamic: strawberry.Maybe[DynamicModelInput] = strawberry.field(
        description="The amounts that events carry; for usage."
    )
    percentage: strawberry.Maybe[PercentageModelInput] = strawberry.field(
        description="A percentage of every event's amount, and a fee per event; for usage."
    )
    matrix: strawberry.Maybe[MatrixModelInput] = strawberry.field(
        description="A price per row of a table; for usage."
    )
    formula: strawberry.Maybe[FormulaModelInput] = strawberry.field(
        description="An expression over several meters; for usage."
    )

    def row(self) -> models.PriceModel:
        """Raises: Invalid, whose field is the path from the mutation's input."""
        return _chosen(self, _PATHS, "model")


_ROW_PATHS = {
    "per_unit": "perUnit",
    "package": "package",
    "graduated": "graduated",
    "volume": "volume",
    "graduated_percentage": "graduatedPercentage",
    "dynamic": "dynamic",
}
_PATHS = {
    "flat": "flat",
    **_ROW_PATHS,
    "percentage": "percentage",
    "matrix": "matrix",
    "formula": "formula",
}


def _chosen(given: object, paths: dict[str, str], path: str) -> models.PriceModel:
    for name, spelled in paths.items():
        one: Any = getattr(given, name)
        if one is not None:
            with located(f"{path}.{spelled}"):
                model: models.PriceModel = one.value.row()
            return model
    raise Invalid(f"{path}: name one of its fields", field=path, code="REQUIRED")
