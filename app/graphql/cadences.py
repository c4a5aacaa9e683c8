"""How often something is charged or billed, in the graph."""

from enum import Enum
from typing import Self, cast

import strawberry

from app.catalog import price
from app.kernel import period


@strawberry.enum(description="A unit of the calendar.")
class CadenceUnit(Enum):
    DAY = strawberry.enum_value("day", description="A local day; 23 or 25 hours at times.")
    WEEK = strawberry.enum_value("week", description="Seven days; calendar weeks start on Monday.")
    MONTH = strawberry.enum_value("month", description="A month.")
    QUARTER = strawberry.enum_value("quarter", description="Three months.")
    HALF_YEAR = strawberry.enum_value("half_year", description="Six months.")
    YEAR = strawberry.enum_value("year", description="Twelve months.")


@strawberry.type(description="How often: every `count` units.")
class Cadence:
    unit: CadenceUnit = strawberry.field(description="What is counted.")
    count: int = strawberry.field(description="How many of it.")

    @classmethod
    def of(cls, row: period.Cadence) -> Self:
        return cls(unit=CadenceUnit(row.unit), count=row.count)


@strawberry.input(description="How often: every `count` units.")
class CadenceInput:
    unit: CadenceUnit = strawberry.field(description="What to count.")
    count: int = strawberry.field(
        description=f"How many of it: 1 to {price.LONGEST_COUNT}.", default=1
    )

    def row(self) -> period.Cadence:
        """Raises: Invalid."""
        return price.cadence(cast("period.Unit", self.unit.value), self.count)
