"""The composition root: opens every connection once, and closes it once.

A process says what it needs; only that is opened, all of it at the same time, and closed in
reverse. Reaching for anything else is a bug and says so.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import structlog
from temporalio.client import Client

from app.clocks.present import EnvironmentClocks
from app.config import Settings
from app.infra import temporal as temporal_server
from app.infra.clickhouse import ClickHouse, ClickHouseError, open_clickhouse
from app.infra.kafka import Producer, open_producer
from app.infra.postgres import postgres
from app.infra.s3 import Storage, open_storage
from app.infra.temporal import connect_temporal
from app.kernel.clock import Clock, SystemClock
from app.kernel.errors import Unavailable

log = structlog.get_logger(__name__)

Need = Literal["postgres", "clickhouse", "kafka", "s3", "temporal"]
EVERYTHING: Final[frozenset[Need]] = frozenset(get_args(Need))
NAMES: Final[Mapping[Need, str]] = {
    "postgres": "PostgreSQL",
    "clickhouse": "ClickHouse",
    "kafka": "Kafka",
    "s3": "S3",
    "temporal": "Temporal",
}
_OPEN_SECONDS: Final = 15.0
_CLOSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a process has open. PostgreSQL is reached through `app.infra.postgres` instead."""

    settings: Settings
    clock: EnvironmentClocks
    clickhouse: ClickHouse
    producer: Producer
    storage: Storage
    temporal: Client


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    needs: frozenset[Need] = EVERYTHING,
    clock: Clock | None = None,
) -> AsyncIterator[Runtime]:
    """Open what is needed for as long as the block lasts.

    Raises: Unavailable, naming every server that did not answer; what had opened is closed.
    """
    clocks = EnvironmentClocks(clock or SystemClock())
    async with AsyncExitStack() as stack:
        opened = await _open_all(stack, settings, needs)
        if "postgres" in needs:
            await stack.enter_async_context(_following(clocks))
        yield Runtime(
            settings=settings,
            clock=clocks,
            clickhouse=opened.get("clickhouse", _NotOpened("clickhouse")),
            producer=opened.get("kafka", _NotOpened("kafka")),
            storage=opened.get("s3", _NotOpened("s3")),
            temporal=opened.get("temporal", _NotOpened("temporal")),
        )


async def _open_all(
    stack: AsyncExitStack, settings: Settings, needs: frozenset[Need]
) -> dict[Need, Any]:
    doors = {need: door for need, door in _doors(settings).items() if need in needs}
    apart = [need for need in doors if need != "postgres"]
    tasks = [asyncio.create_task(_entered(need, doors[need])) for need in apart]
    results: dict[Need, Any] = {}
    try:
        if "postgres" in doors:
            # Tortoise's state lives in this task's context, so it is opened in this task.
            results["postgres"] = await _outcome(_entered("postgres", doors["postgres"]))
    finally:
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    results.update(zip(apart, outcomes, strict=True))
    opened = {need: one for need, one in results.items() if not isinstance(one, BaseException)}
    for need in opened:
        stack.push_async_callback(_close, need, doors[need])
    _raise_failures([one for one in results.values() if isinstance(one, BaseException)])
    return opened


async def _outcome(opening: Awaitable[Any]) -> Any:
    try:
        return await opening
    except Exception as error:  # told later, once what did open is sure to be closed
        return error


def _raise_failures(failures: Sequence[BaseException]) -> None:
    for failure in failures:
        if not isinstance(failure, Unavailable):
            raise failure
    absent = [failure for failure in failures if isinstance(failure, Unavailable)]
    if len(absent) == 1:
        raise absent[0]
    if absent:
        raise Unavailable(
            " and ".join(failure.what for failure in absent),
            "; ".join(failure.message for failure in absent),
        )


def _doors(settings: Settings) -> dict[Need, AbstractAsyncContextManager[Any]]:
    return {
        "postgres": postgres(settings.postgres),
        "clickhouse": _clickhouse(settings),
        "kafka": open_producer(settings.kafka),
        "s3": open_storage(settings.s3),
        "temporal": _temporal(settings),
    }


@asynccontextmanager
async def _following(clocks: EnvironmentClocks) -> AsyncIterator[None]:
    """Know the clocks that environments live on, as they change, while the block lasts."""
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(clocks.follow(), name="clocks")
        try:
            yield
        finally:
            following.cancel()


@asynccontextmanager
async def _clickhouse(settings: Settings) -> AsyncIterator[ClickHouse]:
    async with open_clickhouse(settings.clickhouse) as clickhouse:
        try:
            await clickhouse.ping()  # it connects when first asked
        except ClickHouseError as error:  # no such database or user, say
            raise Unavailable("ClickHouse", str(error)) from error
        yield clickhouse


@asynccontextmanager
async def _temporal(settings: Settings) -> AsyncIterator[Client]:
    client = await connect_temporal(settings.temporal)
    await temporal_server.ping(client)
    yield client


async def _entered(need: Need, door: AbstractAsyncContextManager[Any]) -> Any:
    try:
        async with asyncio.timeout(_OPEN_SECONDS):
            return await door.__aenter__()
    except TimeoutError as error:
        raise Unavailable(NAMES[need], f"no answer in {_OPEN_SECONDS:g} s") from error


async def _close(need: Need, door: AbstractAsyncContextManager[Any]) -> None:
    """Leave a door, but do not wait for ever: a server that hangs must not keep the process."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await door.__aexit__(None, None, None)
    except Exception as failure:  # closing the others matters more
        log.warning("close_failed", dependency=need, reason=repr(failure))


class _NotOpened:
    """Stands where a connection is not: touching it is a bug."""

    def __init__(self, need: Need) -> None:
        self._need = need

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(
            f"this process has not opened {NAMES[self._need]}: add {self._need!r} to its needs"
        )
