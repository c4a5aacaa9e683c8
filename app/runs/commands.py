"""What workflows and activities are told and answer: ids, counts and instants, frozen.

Instants are ISO 8601 text, so that a saved history stays readable. New fields need defaults:
runs that started before them are replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# How many subjects by what was done with them, such as `drafted`, `printed` or `failed`.
Counts = dict[str, int]


def total(one: Mapping[str, int], two: Mapping[str, int]) -> Counts:
    return {key: one.get(key, 0) + two.get(key, 0) for key in sorted({*one, *two})}


@dataclass(frozen=True)
class Begun:
    """`at`: the present in the environment. `watermark`: the machine's, for accepted events.

    `kinds` are the kinds of due work, in the order in which they are done.
    """

    at: str
    watermark: str
    kinds: list[str]


@dataclass(frozen=True)
class RunBilling:
    """One run of one environment; what follows the ids is where a continued run goes on."""

    tenant_id: str
    environment_id: str
    begun: Begun | None = None
    position: int = 0
    after: str = ""
    tally: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class AwaitUsage:
    """Wait until every event accepted before `watermark` is counted."""

    watermark: str


@dataclass(frozen=True)
class WorkPage:
    """The subjects of one kind of due work that follow `after`, as many as fit a page."""

    tenant_id: str
    environment_id: str
    kind: str
    at: str
    watermark: str
    after: str


@dataclass(frozen=True)
class WorkDone:
    """`after` is where the next page begins; None when there is none."""

    tally: Counts
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
