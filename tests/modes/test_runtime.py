"""Opening and closing: all at once, whole or not at all, and never waiting for ever."""

import asyncio
import time
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from app import runtime as composition
from app.config import Settings
from app.kernel.clock import FixedClock
from app.kernel.errors import Unavailable
from app.rest.health import CHECKS, Readiness, check
from app.runtime import EVERYTHING, open_runtime
from tests.processes import free_port


def pointing_nowhere(settings: Settings, *sections: str) -> Settings:
    replace, gone = msgspec.structs.replace, f"127.0.0.1:{free_port()}"
    changed = {
        "postgres": lambda s: replace(s.postgres, url=f"postgresql://u:hunter2@{gone}/x"),
        "clickhouse": lambda s: replace(s.clickhouse, url=f"http://{gone}"),
        "kafka": lambda s: replace(s.kafka, brokers=[gone]),
        "temporal": lambda s: replace(s.temporal, address=gone),
        "s3": lambda s: replace(s.s3, endpoint_url=f"http://{gone}"),
    }
    return replace(settings, **{name: changed[name](settings) for name in sections})


async def test_everything_opens_and_answers(topics: Settings, clock: FixedClock) -> None:
    async with open_runtime(topics, clock=clock) as runtime:
        assert runtime.clock.now() == clock.at
        outcomes = [
            await check(name, question, runtime)
            for need in EVERYTHING
            for name, question in CHECKS[need].items()
        ]
    assert sorted(outcome.name for outcome in outcomes) == [
        "clickhouse",
        "clickhouse_migrations",
        "kafka",
        "postgres",
        "postgres_migrations",
        "s3",
        "temporal",
    ]
    assert [outcome.reason for outcome in outcomes] == [None] * 7


async def test_what_was_not_asked_for_is_not_opened_and_says_so(settings: Settings) -> None:
    gone = pointing_nowhere(settings, "postgres", "kafka", "temporal", "s3")
    async with open_runtime(gone, needs=frozenset({"clickhouse"})) as runtime:
        await runtime.clickhouse.ping()
        with pytest.raises(RuntimeError, match="has not opened Kafka: add 'kafka' to its needs"):
            await runtime.producer.send("events", b"x")


async def test_servers_that_are_away_are_named_all_at_once(settings: Settings) -> None:
    gone = pointing_nowhere(settings, "postgres", "kafka", "temporal")
    with pytest.raises(Unavailable) as error:
        async with open_runtime(gone):
            pytest.fail("opened")
    assert set(error.value.what.split(" and ")) == {"PostgreSQL", "Kafka", "Temporal"}
    assert "hunter2" not in str(error.value)


async def test_one_server_that_is_away_closes_what_did_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    real = composition._doors

    def watched(settings: Settings) -> Any:
        doors = real(settings)

        @asynccontextmanager
        async def noting(door: Any) -> Any:
            async with door as opened:
                yield opened
            closed.append(door)

        return doors | {"clickhouse": noting(doors["clickhouse"]), "s3": noting(doors["s3"])}

    monkeypatch.setattr(composition, "_doors", watched)
    with pytest.raises(Unavailable, match="Kafka"):
        async with open_runtime(pointing_nowhere(settings, "kafka")):
            pytest.fail("opened")
    assert len(closed) == 2


async def test_a_server_that_hangs_on_closing_does_not_keep_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "_CLOSE_SECONDS", 0.2)
    real = composition._doors

    @asynccontextmanager
    async def hanging() -> Any:
        yield object()
        await asyncio.sleep(60)

    monkeypatch.setattr(composition, "_doors", lambda s: real(s) | {"s3": hanging()})
    async with open_runtime(settings, needs=frozenset({"s3", "clickhouse"})):
        started = time.monotonic()
    assert time.monotonic() - started < 2


async def test_a_missing_database_is_told_as_clickhouse_tells_it(settings: Settings) -> None:
    clickhouse = msgspec.structs.replace(settings.clickhouse, database="nowhere")
    with pytest.raises(Unavailable, match="nowhere does not exist"):
        async with open_runtime(
            msgspec.structs.replace(settings, clickhouse=clickhouse),
            needs=frozenset({"clickhouse"}),
        ):
            pytest.fail("opened")


class Asked:
    """Stands for the runtime; counts the questions to its storage."""

    def __init__(self, seconds: float = 0, error: Exception | None = None) -> None:
        self.storage, self.count = self, 0
        self._seconds, self._error = seconds, error

    async def ping(self) -> None:
        self.count += 1
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error


def readiness(asked: Asked) -> Readiness:
    return Readiness(asked, frozenset({"s3"}), "api")  # type: ignore[arg-type]


async def test_probes_that_come_together_share_one_round_of_questions() -> None:
    asked = Asked(seconds=0.05)
    ready = readiness(asked)
    answers = await asyncio.gather(*(ready.outcomes() for _ in range(50)))
    assert asked.count == 1
    assert all(answer == answers[0] for answer in answers)
    await asyncio.sleep(0.6)
    await ready.outcomes()
    assert asked.count == 2


async def test_a_prober_that_leaves_does_not_spoil_the_answer_of_the_next() -> None:
    asked = Asked(seconds=0.1)
    ready = readiness(asked)
    leaving = asyncio.create_task(ready.outcomes())
    await asyncio.sleep(0.02)
    leaving.cancel()
    [outcome] = await ready.outcomes()
    assert (outcome.name, outcome.ok, asked.count) == ("s3", True, 2)


async def test_a_server_that_does_not_answer_in_time_is_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.rest.health.CHECK_SECONDS", 0.05)
    [outcome] = await readiness(Asked(seconds=10)).outcomes()
    assert (outcome.ok, outcome.reason) == (False, "no answer in 0.05 s")
    assert outcome.milliseconds < 1000


@pytest.mark.parametrize("error", [Unavailable("S3", "gone"), OSError("gone"), KeyError("x")])
async def test_whatever_a_server_raises_is_told_by_its_name_alone(error: Exception) -> None:
    answer = await readiness(Asked(error=error)).answer(None)  # type: ignore[arg-type]
    assert answer.status_code == 503
    body = msgspec.json.decode(answer.body)
    body["checks"]["s3"].pop("ms")
    assert body == {
        "status": "unavailable",
        "mode": "api",
        "failing": ["s3"],
        "checks": {"s3": {"ok": False}},
    }
