from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Literal

from app.metering.aggregations.counted import Counted, total_of


@dataclass(frozen=True, slots=True)
class CountUnique:
    """How many different values a property had, exactly.

    Values are compared as text: the string "5" and the number 5 are one value, 5 and 5.0 are
    two. An event without the property, or with null there, does not count; the empty string
    is a value.
    """

    property: str
    kind: Literal["count_unique"] = field(default="count_unique", init=False)
    total_sql: ClassVar[str] = total_of("uniqExact(unique_value)")

    def counted(self, value: str | None) -> Counted | None:
        return None if value is None else Counted(Decimal(1), value)

    def quantity_sql(self, value: str) -> str:
        return f"if(isNull({value}), NULL, {total_of('1')})"

    def unique_sql(self, value: str) -> str:
        return f"assumeNotNull({value})"

    def total(self, rows: Iterable[Counted]) -> Decimal:
        return Decimal(len({row.unique_value for row in rows}))
