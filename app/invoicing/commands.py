"""What workflows and activities are told and answer: ids, counts and instants, frozen.

Instants are ISO 8601 text, so that a saved history stays readable. New fields need defaults:
runs that started before them are replayed.
"""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["bill", "finalize", "print"]


@dataclass(frozen=True)
class Tally:
    """How many invoices a run has drafted, issued and printed, and what failed and stays due."""

    drafted: int = 0
    finalized: int = 0
    printed: int = 0
    failed: int = 0

    def plus(self, other: "Tally") -> "Tally":
        return Tally(
            self.drafted + other.drafted,
            self.finalized + other.finalized,
            self.printed + other.printed,
            self.failed + other.failed,
        )


@dataclass(frozen=True)
class Begun:
    """`at`: the present in the environment. `watermark`: the machine's, for accepted events."""

    at: str
    watermark: str


@dataclass(frozen=True)
class RunBilling:
    """One run of one environment; what follows the ids is where a continued run goes on."""

    tenant_id: str
    environment_id: str
    begun: Begun | None = None
    phase: Phase = "bill"
    after: str = ""
    tally: Tally = Tally()


@dataclass(frozen=True)
class AwaitUsage:
    """Wait until every event accepted before `watermark` is counted."""

    watermark: str


@dataclass(frozen=True)
class WorkPage:
    """The subjects of one kind of due work that follow `after`, as many as fit a page."""

    tenant_id: str
    environment_id: str
    at: str
    watermark: str
    after: str


@dataclass(frozen=True)
class PageDone:
    """`after` is where the next page begins; None when there is none."""

    tally: Tally
    after: str | None


@dataclass(frozen=True)
class SweepBilling:
    """Start a run wherever something is due, from the environment that follows `after`."""

    after: str = ""


@dataclass(frozen=True)
class EnvironmentIds:
    tenant_id: str
    environment_id: str


@dataclass(frozen=True)
class EnvironmentsDue:
    """`after` is where the next page begins; None when there is none."""

    environments: list[EnvironmentIds]
    after: str | None
