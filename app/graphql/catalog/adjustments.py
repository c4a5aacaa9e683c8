"""What is done to a quantity before its price model, and to the amount after it, in the graph."""

from decimal import Decimal
from typing import Self

import strawberry

from app.catalog.prices import Adjustments as Row
from app.kernel.checks import located


@strawberry.type(
    description="What is done to the quantity before the model and to the amount after it."
)
class Adjustments:
    free_units: Decimal = strawberry.field(
        description="Units that cost nothing, taken off before the model."
    )
    minimum: Decimal | None = strawberry.field(
        description="The charge is at least this, also where nothing was used; null: no minimum."
    )
    maximum: Decimal | None = strawberry.field(
        description="The charge is at most this; null: no maximum."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(free_units=row.free_units, minimum=row.minimum, maximum=row.maximum)


@strawberry.input(
    description="What is done to the quantity before the model and to the amount after it."
)
class AdjustmentsInput:
    free_units: Decimal = strawberry.field(
        description="Units that cost nothing, taken off before the model.", default=Decimal(0)
    )
    minimum: Decimal | None = strawberry.field(
        description="The charge is at least this, also where nothing was used.", default=None
    )
    maximum: Decimal | None = strawberry.field(
        description="The charge is at most this.", default=None
    )

    def row(self) -> Row:
        """Raises: Invalid, whose field is the path from the mutation's input."""
        with located("adjustments"):
            return Row(free_units=self.free_units, minimum=self.minimum, maximum=self.maximum)
