"""GET /health: the process is alive. GET /ready: and everything it depends on answers.

Every dependency is asked at the same time, each with a deadline. Probes that arrive together
share one round of questions, so that anybody may ask without troubling the servers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from tortoise import connections

from app.infra import clickhouse_migrations
from app.infra import temporal as temporal_server
from app.infra.migration_files import postgres_migrations as postgres_migration_files
from app.infra.telemetry.metrics import DEPENDENCY_SECONDS, DEPENDENCY_UP
from app.kernel.errors import Unavailable
from app.runtime import Need, Runtime

log = structlog.get_logger(__name__)

Check = Callable[[Runtime], Awaitable[None]]

CHECK_SECONDS: Final = 3.0
_FRESH_SECONDS: Final = 0.5


class NotMigrated(Exception):
    """The schema is older than the program; `tariff migrate` brings it up."""


async def postgres(_runtime: Runtime) -> None:
    """One round trip. Raises what the driver says."""
    await connections.get("default").execute_query("SELECT 1")


async def clickhouse(runtime: Runtime) -> None:
    """One round trip. Raises: Unavailable."""
    await runtime.clickhouse.ping()


async def kafka(runtime: Runtime) -> None:
    """A broker takes connections, and the topic of events exists. Raises: Unavailable."""
    await _some_broker(runtime.settings.kafka.brokers)
    await runtime.producer.partitions(runtime.settings.event_processing.topic)


async def _some_broker(brokers: Sequence[str]) -> None:
    # The client answers from what it remembers, so a connection is tried beside it.
    for broker in brokers:
        host, _, port = broker.rpartition(":")
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.close()
            return
    raise Unavailable("Kafka", f"none of {', '.join(brokers)} takes connections")


async def s3(runtime: Runtime) -> None:
    """One round trip. Raises: Unavailable."""
    await runtime.storage.ping()


async def temporal(runtime: Runtime) -> None:
    """One round trip. Raises: Unavailable."""
    await temporal_server.ping(runtime.temporal)


async def postgres_migrations(_runtime: Runtime) -> None:
    """Every migration this program knows has run. Raises: NotMigrated."""
    connection, ran = connections.get("default"), set[str]()
    # Made by the first migration, so a new database has no such table.
    [log_table] = await connection.execute_query_dict(
        "SELECT to_regclass('tortoise_migrations') IS NOT NULL AS there"
    )
    if log_table["there"]:
        rows = await connection.execute_query_dict(
            "SELECT name FROM tortoise_migrations WHERE app = 'tariff'"
        )
        ran = {row["name"] for row in rows}
    _refuse_missing(postgres_migration_files() - ran)


async def clickhouse_migrations_ran(runtime: Runtime) -> None:
    """Every migration this program knows has run. Raises: NotMigrated."""
    _refuse_missing(set(await clickhouse_migrations.pending(runtime.clickhouse)))


def _refuse_missing(missing: set[str]) -> None:
    if missing:
        raise NotMigrated(f"not run yet: {', '.join(sorted(missing))}; run `tariff migrate`")


# What is asked of a process that has opened the dependency, under the name it answers with.
CHECKS: Final[Mapping[Need, Mapping[str, Check]]] = {
    "postgres": {"postgres": postgres, "postgres_migrations": postgres_migrations},
    "clickhouse": {
        "clickhouse": clickhouse,
        "clickhouse_migrations": clickhouse_migrations_ran,
    },
    "kafka": {"kafka": kafka},
    "s3": {"s3": s3},
    "temporal": {"temporal": temporal},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check went. `reason` is for the operator: it may name hosts."""

    name: str
    milliseconds: float
    reason: str | None = None

    @property
    def ok(self) -> bool:
        return self.reason is None


async def check(name: str, question: Check, runtime: Runtime) -> Outcome:
    """Ask, within the deadline; never raises."""
    started, reason = time.perf_counter(), None
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await question(runtime)
    except TimeoutError:
        reason = f"no answer in {CHECK_SECONDS:g} s"
    except (Unavailable, NotMigrated) as error:
        reason = str(error)
    except Exception as error:  # whatever a driver raises: the dependency does not work
        reason = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    DEPENDENCY_UP.labels(name).set(reason is None)
    DEPENDENCY_SECONDS.labels(name).set(seconds)
    return Outcome(name, round(seconds * 1000, 1), reason)


class Readiness:
    """Answers /ready for one process."""

    def __init__(self, runtime: Runtime, needs: frozenset[Need], mode: str) -> None:
        self._runtime, self._mode = runtime, mode
        self._checks = {
            name: question for need in sorted(needs) for name, question in CHECKS[need].items()
        }
        self._asking = asyncio.Lock()
        self._answer: list[Outcome] = []
        self._fresh_until = 0.0
        self._failing: set[str] = set()

    async def answer(self, _request: Request) -> Response:
        """200 when every dependency answers, else 503 with the names of those that do not."""
        outcomes = await self.outcomes()
        failing = [one.name for one in outcomes if not one.ok]
        body = {
            "status": "unavailable" if failing else "ready",
            "mode": self._mode,
            "failing": failing,
            "checks": {one.name: {"ok": one.ok, "ms": one.milliseconds} for one in outcomes},
        }
        headers = {"cache-control": "no-store"} | ({"retry-after": "1"} if failing else {})
        return Response(
            orjson.dumps(body), 503 if failing else 200, headers, media_type="application/json"
        )

    async def outcomes(self) -> list[Outcome]:
        """A round of questions at most half a second old, shared by all who ask."""
        loop = asyncio.get_running_loop()
        async with self._asking:
            if loop.time() > self._fresh_until:
                self._answer = await self._ask()
                self._fresh_until = loop.time() + _FRESH_SECONDS
            return self._answer

    async def _ask(self) -> list[Outcome]:
        outcomes = await asyncio.gather(
            *(check(name, question, self._runtime) for name, question in self._checks.items())
        )
        self._tell({one.name: one.reason for one in outcomes if one.reason is not None})
        return list(outcomes)

    def _tell(self, failing: dict[str, str]) -> None:
        """Log what changed, not every probe."""
        for name in failing.keys() - self._failing:
            log.warning("dependency_down", dependency=name, reason=failing[name])
        for name in self._failing - failing.keys():
            log.info("dependency_up", dependency=name)
        self._failing = set(failing)


async def health(_request: Request) -> Response:
    """The process runs and its event loop turns."""
    return PlainTextResponse("ok")
