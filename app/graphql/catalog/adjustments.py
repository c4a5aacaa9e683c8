"""What is done to a quantity before its price model, and to the amount after it, in the graph."""

from decimal import Decimal
from enum import Enum
from typing import Literal, Self, cast

import strawberry

from app.catalog.prices import Adjustments as Row
from app.catalog.prices import Transform as TransformRow
from app.catalog.prices.adjustments import MOST_PRECISION
from app.kernel.checks import located


@strawberry.enum(description="How a converted quantity is rounded.")
class TransformRounding(Enum):
    NONE = strawberry.enum_value("none", description="Not at all.")
    UP = strawberry.enum_value("up", description="To the next greater one.")
    DOWN = strawberry.enum_value("down", description="To the next lesser one.")
    HALF_UP = strawberry.enum_value("half_up", description="To the nearest, halves away from 0.")


@strawberry.enum(description="Local hours, days, weeks from Monday, or months of a period.")
class PriceBucket(Enum):
    HOUR = strawberry.enum_value("hour", description="Hours.")
    DAY = strawberry.enum_value("day", description="Days.")
    WEEK = strawberry.enum_value("week", description="Weeks, from Monday.")
    MONTH = strawberry.enum_value("month", description="Calendar months.")


@strawberry.enum(description="What a price is applied to where its usage is grouped.")
class TiersPer(Enum):
    GROUP = strawberry.enum_value("group", description="Each group on its own.")
    TOTAL = strawberry.enum_value(
        "total",
        description="All groups together; the amount is shared out over them by quantity.",
    )


@strawberry.type(description="The unit that is priced: the quantity times or over a factor.")
class Transform:
    multiply_by: Decimal | None = strawberry.field(description="The factor; null: it divides.")
    divide_by: Decimal | None = strawberry.field(description="The divisor; null: it multiplies.")
    round: TransformRounding = strawberry.field(description="How the result is rounded.")
    precision: int = strawberry.field(description="To how many decimals; -1: to tens.")

    @classmethod
    def of(cls, row: TransformRow) -> Self:
        return cls(
            multiply_by=row.multiply_by,
            divide_by=row.divide_by,
            round=TransformRounding(row.round),
            precision=row.precision,
        )


@strawberry.type(
    description="What is done to the quantity before the model and to the amount after it."
)
class Adjustments:
    transform: Transform | None = strawberry.field(
        description="Converts and rounds the quantity first of all."
    )
    free_units: Decimal = strawberry.field(
        description="Units that cost nothing, taken off before the model."
    )
    bucket: PriceBucket | None = strawberry.field(
        description="Each of these parts of the period is priced on its own; null: all at once."
    )
    minimum: Decimal | None = strawberry.field(
        description="The charge is at least this, also where nothing was used; null: no minimum."
    )
    maximum: Decimal | None = strawberry.field(
        description="The charge is at most this; null: no maximum."
    )
    tiers_per: TiersPer = strawberry.field(
        description="What model and limits are applied to where the price is grouped."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            transform=None if row.transform is None else Transform.of(row.transform),
            free_units=row.free_units,
            bucket=None if row.bucket is None else PriceBucket(row.bucket),
            minimum=row.minimum,
            maximum=row.maximum,
            tiers_per=TiersPer(row.tiers_per),
        )


@strawberry.input(
    description="The unit that is priced: the quantity times or over a factor, one of which is "
    "given."
)
class TransformInput:
    multiply_by: Decimal | None = strawberry.field(description="Above 0.", default=None)
    divide_by: Decimal | None = strawberry.field(description="Above 0.", default=None)
    round: TransformRounding = strawberry.field(
        description="How to round the result.", default=TransformRounding.NONE
    )
    precision: int = strawberry.field(
        description=f"To how many decimals, up to {MOST_PRECISION}; -1 rounds to tens, and so on.",
        default=0,
    )

    def row(self) -> TransformRow:
        return TransformRow(
            self.multiply_by,
            self.divide_by,
            cast("Literal['none', 'up', 'down', 'half_up']", self.round.value),
            self.precision,
        )


@strawberry.input(
    description="What is done to the quantity before the model and to the amount after it. A "
    "percentage, a matrix and a formula take only the minimum and maximum."
)
class AdjustmentsInput:
    transform: TransformInput | None = strawberry.field(
        description="Converts and rounds the quantity first of all.", default=None
    )
    free_units: Decimal = strawberry.field(
        description="Units that cost nothing, taken off before the model.", default=Decimal(0)
    )
    bucket: PriceBucket | None = strawberry.field(
        description="Price each of these parts of the period on its own.", default=None
    )
    minimum: Decimal | None = strawberry.field(
        description="The charge is at least this, also where nothing was used.", default=None
    )
    maximum: Decimal | None = strawberry.field(
        description="The charge is at most this.", default=None
    )
    tiers_per: TiersPer = strawberry.field(
        description="What to apply model and limits to where the price is grouped.",
        default=TiersPer.GROUP,
    )

    def row(self) -> Row:
        """Raises: Invalid, whose field is the path from the mutation's input."""
        bucket = None if self.bucket is None else self.bucket.value
        with located("adjustments"):
            return Row(
                transform=None if self.transform is None else self.transform.row(),
                free_units=self.free_units,
                bucket=cast("Literal['hour', 'day', 'week', 'month'] | None", bucket),
                minimum=self.minimum,
                maximum=self.maximum,
                tiers_per=cast("Literal['group', 'total']", self.tiers_per.value),
            )
