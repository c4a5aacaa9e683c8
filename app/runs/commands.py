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
    """`at`: the present of the place. `watermark`: the machine's, for accepted events.

    `kinds` are the kinds of due work, in the order in which they are done. `shards`: in how many
    parts that go on side by side; a kind that is not named is done in one.
    """

    at: str
    watermark: str
    kinds: list[str]
    shards: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """An environment, or what lives on one of the test clocks of its customers."""

    tenant_id: str
    environment_id: str
    clock_id: str | None = None


@dataclass(frozen=True)
class RunBilling:
    """One run in one place; what follows it is where a continued run goes on.

    `position`: of the kind in hand. `after`: behind what, if that is done in one part; else
    `afters`, by shard, None where that is at its end.
    """

    place: Place
    begun: Begun | None = None
    position: int = 0
    after: str = ""
    tally: Counts = field(default_factory=dict)
    afters: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class AwaitUsage:
    """Wait until every event accepted before `watermark` is counted."""

    watermark: str


@dataclass(frozen=True)
class WorkPage:
    """The subjects of one kind of due work that follow `after`, as many as fit a page.

    `shard`: of so many `shards`, counted from 0.
    """

    place: Place
    kind: str
    at: str
    watermark: str
    after: str
    shard: int = 0
    shards: int = 1


@dataclass(frozen=True)
class WorkDone:
    """`after` is where the next page begins; None when there is none."""

    tally: Counts
    after: str | None


@dataclass(frozen=True)
class SweepBilling:
    """Start a run wherever something is due, from the place that follows `after`."""

    after: str = ""


@dataclass(frozen=True)
class PlacesDue:
    """`after` is where the next page begins; None when there is none."""

    places: list[Place]
    after: str | None


@dataclass(frozen=True)
class AdvanceClock:
    """Bring a test clock to where it has been asked to go.

    `watermark`: the machine's instant by which accepted events are counted; None at the start.
    """

    tenant_id: str
    environment_id: str
    clock_id: str
    watermark: str | None = None
    tally: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Drain:
    """Do for a while what falls due on an advancing clock."""

    tenant_id: str
    environment_id: str
    clock_id: str
    watermark: str


@dataclass(frozen=True)
class Drained:
    """`over`: the clock has arrived, or is not advancing any more."""

    tally: Counts
    over: bool


@dataclass(frozen=True)
class BreakOff:
    """Let a clock stand where it is, and say why."""

    tenant_id: str
    environment_id: str
    clock_id: str
    reason: str
