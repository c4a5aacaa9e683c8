"""Watermarks: instants that cut the log of accepted events in two, for good.

Clocks cannot tell what was accepted before what: those of the processes that stamp events
differ, and the partitions of a topic have no common order. So a watermark is a place in the log:
it is kept together with the ends that the partitions had when it was taken, and the consumers
make the stamps fit. An event that lies before the ends of a watermark is stamped before it, one
that lies behind them at it or later. Within these bounds stamps stay as they were made.

Taking one has three steps. `begin` notes that one is being taken; then the ends are read from
the brokers; `finish` gives it its instant. A consumer that reads the notes after its messages
finds either nothing (then its messages lie before the ends, and the present, which it stamps
them with at the latest, is before the instant), or the watermark, or that one is being taken:
then it waits. The only clock that matters is that of PostgreSQL.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import orjson

from app.infra.postgres import system
from app.infra.rows import json_of
from app.kernel.errors import Unavailable
from app.metering.ingest import milliseconds

Ends = Mapping[int, int]

# Whoever takes a watermark has this long; what is left of one who died is swept away then.
TAKING_SECONDS = 15.0
_POLL_SECONDS = 0.02
_KEPT = timedelta(days=7)
_MILLISECOND = timedelta(milliseconds=1)

# Any constant of ours: one watermark is begun or finished at a time.
_LOCK = "SELECT pg_advisory_xact_lock(7061981)"
_SWEEP = (
    "DELETE FROM usage_watermarks WHERE topic = ANY($1) AND at IS NULL "
    "AND started_at < now() - $2::interval"
)
_BEGIN = (
    "INSERT INTO usage_watermarks (topic, started_at, passed) "
    "SELECT topic, clock_timestamp(), false FROM unnest($1::text[]) AS topic "
    "WHERE NOT EXISTS (SELECT FROM usage_watermarks WHERE topic = ANY($1) AND at IS NULL) "
    "RETURNING id"
)
_LATEST = (
    "SELECT DISTINCT ON (topic) topic, at, ends, date_trunc('milliseconds', clock_timestamp()) "
    "+ interval '1 millisecond' AS now FROM usage_watermarks WHERE topic = ANY($1) "
    "ORDER BY topic, at DESC NULLS LAST"
)
_FINISH = (
    "UPDATE usage_watermarks SET at = $2, ends = taken.ends "
    "FROM unnest($3::text[], $4::jsonb[]) AS taken(topic, ends) "
    "WHERE id = ANY($1) AND usage_watermarks.topic = taken.topic RETURNING id"
)
_ABANDON = "DELETE FROM usage_watermarks WHERE id = ANY($1) AND at IS NULL"
_MARK = (
    "UPDATE usage_watermarks SET passed = true WHERE topic = ANY($1) AND at <= $2 AND NOT passed"
)
_FORGET = (
    "DELETE FROM usage_watermarks AS old WHERE topic = ANY($1) AND passed "
    "AND at < now() - $2::interval "
    "AND EXISTS (SELECT FROM usage_watermarks AS newer WHERE newer.topic = old.topic "
    "AND newer.passed AND newer.at > old.at)"
)
_IN_FORCE = (
    "SELECT now() AS now, found.* FROM (SELECT) AS always LEFT JOIN LATERAL ("
    "SELECT at, ends, passed, started_at FROM usage_watermarks WHERE topic = $1 AND (NOT passed "
    "OR at = (SELECT max(at) FROM usage_watermarks WHERE topic = $1 AND passed))"
    ") AS found ON true"
)
_AT = "SELECT topic, ends, passed FROM usage_watermarks WHERE topic = ANY($1) AND at = $2"


@dataclass(frozen=True, slots=True)
class Bounds:
    """From when to when, both inclusive, what lies in one place of the log may be stamped.

    `YYYY-MM-DD HH:MM:SS.mmm` in UTC, as stamps are written, so that they compare as text.
    """

    earliest: str
    latest: str

    def fit(self, stamp: str) -> str:
        return max(self.earliest, min(stamp, self.latest))


@dataclass(frozen=True, slots=True)
class InForce:
    """What a consumer knows of a topic: the present, and the watermarks around its messages.

    `passed` is the newest that all consumers had passed: what is new lies behind it.
    """

    now: datetime
    passed: datetime | None
    ahead: Sequence[tuple[datetime, Sequence[int]]]

    def bounds(self, partition: int, offset: int) -> Bounds:
        """Of the message at this place."""
        earliest, latest = self.passed, self.now
        for at, ends in self.ahead:
            if offset >= (ends[partition] if partition < len(ends) else 0):
                earliest = at if earliest is None else max(earliest, at)
            else:
                latest = min(latest, at - _MILLISECOND)
        return Bounds("" if earliest is None else milliseconds(earliest), milliseconds(latest))


async def begin(topics: Sequence[str]) -> list[int]:
    """Note that a watermark of these topics is being taken, once no other one is.

    Raises: Unavailable (PostgreSQL, or the other one takes too long).
    """
    async with asyncio.timeout(2 * TAKING_SECONDS):
        while True:
            async with system() as connection:
                await connection.execute(_LOCK)
                await connection.execute(_SWEEP, topics, timedelta(seconds=TAKING_SECONDS))
                found = await connection.fetch(_BEGIN, topics)
            if found:
                return [row["id"] for row in found]
            await asyncio.sleep(_POLL_SECONDS)


async def abandon(ids: Sequence[int]) -> None:
    """A watermark that was begun will not be taken; nobody need wait for it."""
    async with system() as connection:
        await connection.execute(_ABANDON, ids)


async def finish(ids: Sequence[int], ends: Mapping[str, Ends]) -> datetime:
    """Give a watermark that was begun its instant, later than all before it, and its ends.

    Raises: Unavailable, also where it took so long that it was swept away.
    """
    topics = list(ends)
    listed = {topic: _listed(found) for topic, found in ends.items()}
    async with system() as connection:
        await connection.execute(_LOCK)
        latest = await connection.fetch(_LATEST, topics)
        if not latest:
            raise _too_slow()
        past = [row for row in latest if row["at"] is not None]
        at: datetime = max([latest[0]["now"], *(row["at"] + _MILLISECOND for row in past)])
        for row in past:
            # A log that is shorter than it was is another: what lay before is gone.
            before = zip(listed[row["topic"]], json_of(row["ends"]), strict=False)
            if any(new < old for new, old in before):
                await connection.execute(_MARK, [row["topic"]], row["at"])
        bodies = [orjson.dumps(listed[topic]).decode() for topic in topics]
        done = await connection.fetch(_FINISH, ids, at, topics, bodies)
        if len(done) != len(topics):
            raise _too_slow()
        await connection.execute(_FORGET, topics, _KEPT)
    return at


async def taken_at(topics: Sequence[str], at: datetime) -> dict[str, Ends]:
    """The ends that are not passed yet of a watermark by topic; empty where it was none.

    A topic that is passed has no ends to wait for. Raises: Unavailable.
    """
    async with system() as connection:
        rows = await connection.fetch(_AT, topics, at)
    return {
        row["topic"]: {} if row["passed"] else dict(enumerate(json_of(row["ends"]))) for row in rows
    }


async def passed(topics: Sequence[str], at: datetime) -> None:
    """Note that the consumers of these topics have passed the watermark. Raises: Unavailable."""
    async with system() as connection:
        await connection.execute(_MARK, topics, at)


async def in_force(topic: str) -> InForce:
    """What is known of a topic once no watermark is being taken. Raises: Unavailable.

    Ask after reading the messages that it is to be applied to.
    """
    while True:
        async with system() as connection:
            rows = await connection.fetch(_IN_FORCE, topic)
        now = rows[0]["now"]
        found = [row for row in rows if row["started_at"] is not None]
        pending = [row for row in found if row["at"] is None]
        if not pending:
            return _in_force(now, found)
        if any(now - row["started_at"] > timedelta(seconds=TAKING_SECONDS) for row in pending):
            async with system() as connection:
                await connection.execute(_LOCK)
                await connection.execute(_SWEEP, [topic], timedelta(seconds=TAKING_SECONDS))
        await asyncio.sleep(_POLL_SECONDS)


def _in_force(now: datetime, rows: Sequence[asyncpg.Record]) -> InForce:
    behind = [row["at"] for row in rows if row["passed"]]
    ahead = [(row["at"], json_of(row["ends"])) for row in rows if not row["passed"]]
    return InForce(now, max(behind, default=None), ahead)


def _listed(ends: Ends) -> list[int]:
    """The ends by number of the partition, without a gap."""
    return [ends.get(number, 0) for number in range(max(ends, default=-1) + 1)]


def _too_slow() -> Unavailable:
    return Unavailable("the watermark", f"it could not be taken within {TAKING_SECONDS:g} s")
