"""What can be wrong with a meter, or with a question about usage.

DomainError
├── Invalid                      INVALID_NAME, INVALID_EVENT_NAME, INVALID_PROPERTY,
│   │                            INVALID_VALUES, INVALID_FILTERS, INVALID_INCLUDE,
│   │                            INVALID_EXCLUDE, INVALID_PRESENT, INVALID_ABSENT,
│   │                            INVALID_DIMENSIONS,
│   │                            INVALID_DESCRIPTION, INVALID_METADATA, REQUIRED
│   ├── MeterDefinitionImmutable METER_DEFINITION_IMMUTABLE
│   ├── UnknownDimension         UNKNOWN_DIMENSION
│   ├── TooManyWindows           TOO_MANY_WINDOWS
│   └── TooManyFigures           TOO_MANY_FIGURES
├── NotFound                     NOT_FOUND
└── Conflict
    └── MeterIsArchived, MeterIsActive
"""

from collections.abc import Sequence

from app.kernel.errors import Conflict, Invalid


class MeterDefinitionImmutable(Invalid):
    """What was billed by a meter must stay explainable."""

    code = "METER_DEFINITION_IMMUTABLE"

    def __init__(self, field: str) -> None:
        super().__init__(
            f"{field}: the definition of a meter never changes; create a new meter, and prices "
            "that use it",
            field=field,
        )


class MeterIsArchived(Conflict):
    code = "METER_ARCHIVED"

    def __init__(self, meter_id: str) -> None:
        super().__init__(f"meter {meter_id} is archived; restore it first", field="id")


class MeterIsActive(Conflict):
    code = "METER_NOT_ARCHIVED"

    def __init__(self, meter_id: str) -> None:
        super().__init__(f"meter {meter_id} is not archived", field="id")


class UnknownDimension(Invalid):
    code = "UNKNOWN_DIMENSION"

    def __init__(
        self, name: str, meter_id: str, known: Sequence[str], *, field: str = "groupBy"
    ) -> None:
        super().__init__(
            f"{field}: meter {meter_id} keeps no dimension {name!r}; it keeps "
            f"{', '.join(known) or 'none'}",
            field=field,
        )
        self.name, self.meter_id = name, meter_id


class TooManyWindows(Invalid):
    code = "TOO_MANY_WINDOWS"

    def __init__(self, count: int, most: int) -> None:
        super().__init__(
            f"window: {count} windows are too many, at most {most}; ask for a shorter period or "
            "larger windows",
            field="window",
        )


class TooManyFigures(Invalid):
    code = "TOO_MANY_FIGURES"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the answer has more than {most} figures; ask about fewer customers, a shorter "
            "period, larger windows or fewer groups"
        )
