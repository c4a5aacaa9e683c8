from collections.abc import Iterable, Sequence
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
    # The first event with a value counts it, later ones add nothing.
    contribution_sql: ClassVar[str] = (
        "if(row_number() OVER (PARTITION BY unique_value ORDER BY timestamp, event_id) = 1, "
        f"quantity, {total_of('0')})"
    )

    def counted(self, value: str | None) -> Counted | None:
        return None if value is None else Counted(Decimal(1), value)

    def quantity_sql(self, value: str) -> str:
        return f"if(isNull({value}), NULL, {total_of('1')})"

    def unique_sql(self, value: str) -> str:
        return f"assumeNotNull({value})"

    def total(self, rows: Iterable[Counted]) -> Decimal:
        return Decimal(len({row.unique_value for row in rows}))

    def contributions(self, rows: Sequence[Counted]) -> list[Decimal]:
        seen: set[str] = set()
        found = []
        for row in rows:
            found.append(Decimal(0) if row.unique_value in seen else row.quantity)
            seen.add(row.unique_value)
        return found
