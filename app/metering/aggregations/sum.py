from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Literal

from app.kernel.quantity import EXACT
from app.metering.aggregations.counted import PLAIN_CONTRIBUTION, Counted, number, number_sql


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a property. An event whose property is no number does not count."""

    property: str
    kind: Literal["sum"] = field(default="sum", init=False)
    # 10^38 of the largest quantities fit before 76 digits overflow.
    total_sql: ClassVar[str] = "sum(quantity)"
    contribution_sql: ClassVar[str] = PLAIN_CONTRIBUTION

    def counted(self, value: str | None) -> Counted | None:
        quantity = number(value)
        return None if quantity is None else Counted(quantity)

    def quantity_sql(self, value: str) -> str:
        return number_sql(value)

    def unique_sql(self, value: str) -> str:
        return "''"

    def total(self, rows: Iterable[Counted]) -> Decimal:
        total = Decimal(0)
        for row in rows:
            total = EXACT.add(total, row.quantity)
        return total

    def contributions(self, rows: Sequence[Counted]) -> list[Decimal]:
        return [row.quantity for row in rows]
