from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Literal

from app.metering.aggregations.counted import PLAIN_CONTRIBUTION, Counted, total_of


@dataclass(frozen=True, slots=True)
class Count:
    """How many events there were. Filters say which; their properties do not matter."""

    kind: Literal["count"] = field(default="count", init=False)
    property: ClassVar[str | None] = None
    total_sql: ClassVar[str] = total_of("count()")
    contribution_sql: ClassVar[str] = PLAIN_CONTRIBUTION

    def counted(self, value: str | None) -> Counted | None:
        return Counted(Decimal(1))

    def quantity_sql(self, value: str) -> str:
        return total_of("1")

    def unique_sql(self, value: str) -> str:
        return "''"

    def total(self, rows: Iterable[Counted]) -> Decimal:
        return Decimal(sum(1 for _ in rows))

    def contributions(self, rows: Sequence[Counted]) -> list[Decimal]:
        return [row.quantity for row in rows]
