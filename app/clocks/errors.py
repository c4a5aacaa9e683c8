"""What can be wrong with a test clock.

DomainError
├── Invalid                    INVALID_NAME, INVALID_FROZEN_AT, INVALID_TO
│   ├── ClockBackwards         CLOCK_BACKWARDS
│   └── AdvanceTooFar          ADVANCE_TOO_FAR
├── NotFound                   NOT_FOUND
└── Conflict
    ├── AlreadyExists          ALREADY_EXISTS (name)
    ├── Archived, NotArchived  ARCHIVED, NOT_ARCHIVED
    ├── ProductionEnvironment  PRODUCTION_ENVIRONMENT
    ├── EnvironmentInUse       ENVIRONMENT_IN_USE
    ├── EnvironmentHasClock    ENVIRONMENT_HAS_CLOCK
    ├── GovernsEnvironment     CLOCK_GOVERNS_ENVIRONMENT
    └── ClockAdvancing         CLOCK_ADVANCING
"""

from datetime import datetime

from app.kernel.errors import Conflict, Invalid


class ClockBackwards(Invalid):
    code = "CLOCK_BACKWARDS"

    def __init__(self, clock_id: str, frozen_at: datetime, to: datetime) -> None:
        super().__init__(
            f"to: test clock {clock_id} stands at {frozen_at.isoformat()} and does not go back "
            f"to {to.isoformat()}",
            field="to",
        )


class AdvanceTooFar(Invalid):
    code = "ADVANCE_TOO_FAR"

    def __init__(self, clock_id: str, farthest: datetime, to: datetime) -> None:
        super().__init__(
            f"to: test clock {clock_id} can be advanced to {farthest.isoformat()} at once, not to "
            f"{to.isoformat()}; go in steps",
            field="to",
        )


class ProductionEnvironment(Conflict):
    code = "PRODUCTION_ENVIRONMENT"

    def __init__(self, environment_id: str) -> None:
        super().__init__(
            f"environment {environment_id} is a production environment; test clocks are for "
            "development environments alone"
        )


class EnvironmentInUse(Conflict):
    code = "ENVIRONMENT_IN_USE"

    def __init__(self, environment_id: str) -> None:
        super().__init__(
            f"governs: environment {environment_id} has work scheduled by its present; a clock for "
            "the whole environment has to be there before subscriptions are",
            field="governs",
        )


class EnvironmentHasClock(Conflict):
    code = "ENVIRONMENT_HAS_CLOCK"

    def __init__(self, environment_id: str, clock_id: str) -> None:
        super().__init__(
            f"governs: environment {environment_id} lives on test clock {clock_id} already; "
            "advance that one, or restore it if it is archived",
            field="governs",
        )
        self.clock_id = clock_id


class GovernsEnvironment(Conflict):
    code = "CLOCK_GOVERNS_ENVIRONMENT"

    def __init__(self, clock_id: str, *, field: str) -> None:
        super().__init__(
            f"{field}: test clock {clock_id} is that of the whole environment; customers are put "
            "on clocks that govern customers",
            field=field,
        )


class ClockAdvancing(Conflict):
    """What lives on the clock can be read and not changed until it has arrived."""

    code = "CLOCK_ADVANCING"

    def __init__(self, clock_id: str, to: datetime | None) -> None:
        target = "" if to is None else f" to {to.isoformat()}"
        super().__init__(
            f"test clock {clock_id} is advancing{target}; wait until its status is READY"
        )
        self.clock_id, self.to = clock_id, to
