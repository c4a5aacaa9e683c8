"""Sentry hears bugs, wherever they happen, and nothing else; and learns no secret or person."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import sentry_sdk
import structlog
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.routing import Route, Router
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from app.config import Sentry, Server, Settings
from app.infra.kafka import SYSTEM_EVENTS, Batch, Consumer, Plan, ensure_topics, open_producer
from app.infra.telemetry.activities import ObservedActivities
from app.infra.telemetry.reports import error_reports, report
from app.infra.temporal import connect_temporal
from app.kernel.errors import Invalid, Unavailable
from app.kernel.ids import new_id
from app.rest.middleware import surrounded
from tests.processes import Processes
from tests.telemetry.receiver import Receiver, receiver

log = structlog.get_logger(__name__)
SECRET = "hunt" + "er2"  # in two parts: reports quote lines of the source


@pytest.fixture
async def topics(settings: Settings) -> Settings:
    """The session's settings, its topics made."""
    await ensure_topics(settings)
    return settings


def dropped(*_: Any) -> Any:
    raise structlog.DropEvent


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    """A receiver, with the reports of this process going to it."""
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, report, dropped],
        cache_logger_on_first_use=False,
    )
    with receiver() as server:
        with error_reports(Sentry(dsn=server.dsn), name="billing", mode="api"):
            yield server
        sentry_sdk.get_global_scope().clear()
    structlog.reset_defaults()


def reported(server: Receiver) -> list[dict[str, Any]]:
    sentry_sdk.flush(5)
    return server.events()


async def test_a_bug_in_a_request_is_reported_with_its_request_and_mode(sentry: Receiver) -> None:
    async def fails(request: Request) -> None:
        password = SECRET
        raise ValueError(f"for jane@example.com: {len(password)}")

    app = surrounded(Router([Route("/x", fails)]), Server(), access_log=False)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        headers = {"x-request-id": "r-1", "x-api-key": SECRET, "cookie": f"a={SECRET}"}
        answer = await http.get(f"/x?token={SECRET}", headers=headers)
    assert answer.status_code == 500
    [event] = reported(sentry)
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "for [redacted]: 7")
    assert event["tags"]["request_id"] == "r-1"
    assert event["tags"]["mode"] == "api"
    assert event["tags"]["service"] == "billing"
    assert event["tags"]["event"] == "request_failed"
    assert event["environment"] == "production"
    assert event["release"].startswith("tariff@")
    text = str(event)
    assert SECRET not in text
    assert "vars" not in error["stacktrace"]["frames"][-1]
    assert "user" not in event
    assert "request" not in event


@pytest.mark.parametrize(
    "outcome",
    [
        Invalid("no"),
        Unavailable("PostgreSQL", "gone"),
        ApplicationError("no", type="Invalid"),
        ExceptionGroup("several", [Invalid("no"), Unavailable("S3", "gone")]),
        asyncio.CancelledError(),
    ],
)
async def test_an_outcome_is_not_reported(sentry: Receiver, outcome: BaseException) -> None:
    log.error("failed", exc_info=outcome)
    assert reported(sentry) == []


async def test_a_group_with_a_bug_in_it_is_reported(sentry: Receiver) -> None:
    log.error("failed", exc_info=ExceptionGroup("several", [Invalid("no"), KeyError("x")]))
    [event] = reported(sentry)
    assert {"KeyError", "Invalid"} <= {v["type"] for v in event["exception"]["values"]}


async def test_a_line_without_an_exception_is_not_reported(sentry: Receiver) -> None:
    log.error("message_dead_lettered")
    assert reported(sentry) == []


async def test_one_exception_logged_twice_is_reported_once(sentry: Receiver) -> None:
    error = KeyError("x")
    log.error("failed", exc_info=error)
    log.error("failed_again", exc_info=error)
    assert len(reported(sentry)) == 1


async def test_a_librarys_trouble_with_the_network_is_not_reported(sentry: Receiver) -> None:
    for error, count in ((ConnectionResetError("x"), 0), (KeyError("x"), 1)):
        record = logging.LogRecord("aiokafka", logging.ERROR, "f", 1, "lost", (), None)
        report(None, "error", {"event": "lost", "exc_info": error, "_record": record})
        assert len(reported(sentry)) == count


async def test_nothing_is_reported_without_a_dsn() -> None:
    with error_reports(Sentry(), name="billing", mode="api"):
        assert not sentry_sdk.get_client().is_active()


async def test_a_bug_in_a_consumer_is_reported(topics: Settings, sentry: Receiver) -> None:
    stop = asyncio.Event()
    sentry_sdk.get_global_scope().set_tag("mode", "consumer")

    async def fails(_batch: Batch) -> list[Any]:
        stop.set()
        raise LookupError("a bug in the consumer")

    plan = Plan(
        topic=SYSTEM_EVENTS,
        group=f"{topics.kafka.topic_prefix}{new_id('run')}",
        dead_letters=f"{SYSTEM_EVENTS}_dlq",
        max_rows=10,
        max_wait_seconds=0.05,
    )
    async with asyncio.timeout(40), open_producer(topics.kafka) as producer:
        await producer.send(SYSTEM_EVENTS, b"{}")
        await Consumer(topics.kafka, plan, handler=fails, producer=producer).run(stop)
    [event] = reported(sentry)
    assert event["exception"]["values"][-1]["value"] == "a bug in the consumer"
    assert (event["tags"]["mode"], event["tags"]["event"]) == ("consumer", "batch_failed")


@activity.defn(name="tests.fails")
async def fails_as_told(how: str) -> None:
    if how == "refusal":
        raise Invalid("no")
    raise LookupError("a bug in an activity")


@workflow.defn(name="tests.runs_it")
class RunsIt:
    @workflow.run
    async def run(self, how: str) -> None:
        await workflow.execute_activity(
            fails_as_told,
            how,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def test_a_bug_in_an_activity_is_reported_with_its_workflow(
    settings: Settings, sentry: Receiver
) -> None:
    sentry_sdk.get_global_scope().set_tag("mode", "temporal_worker")
    client = await connect_temporal(settings.temporal)
    queue = new_id("run")
    before = activities_failed("tests.fails")
    async with Worker(
        client,
        task_queue=queue,
        workflows=[RunsIt],
        activities=[fails_as_told],
        interceptors=[ObservedActivities()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        for how in ("refusal", "bug"):
            with pytest.raises(WorkflowFailureError):
                await client.execute_workflow(
                    RunsIt.run, how, id=f"{queue}-{how}", task_queue=queue
                )
    [event] = reported(sentry)
    assert event["exception"]["values"][-1]["value"] == "a bug in an activity"
    assert event["tags"]["mode"] == "temporal_worker"
    assert event["tags"]["event"] == "activity_failed"
    assert event["tags"]["workflow"] == f"{queue}-bug"
    assert event["tags"]["activity"] == "tests.fails"
    assert activities_failed("tests.fails") == before + 2


def activities_failed(name: str) -> float:
    labels = {"activity": name, "outcome": "failed"}
    return REGISTRY.get_sample_value("tariff_temporal_activity_seconds_count", labels) or 0


async def test_a_mode_reports_a_bug_before_it_ends(
    processes: Processes, topics: Settings, tmp_path: Path
) -> None:
    # A module that fails when it is used stands for any bug in a service.
    (tmp_path / "sitecustomize.py").write_text(
        "import app.rest.health as h\n"
        "async def broken(request): raise LookupError('a bug in a process')\n"
        "h.health = broken\n"
    )
    with receiver() as server:
        mode = await processes.start_mode(
            "consumer",
            environ={"PYTHONPATH": f"{tmp_path}:.", "TARIFF_SENTRY_DSN": server.dsn},
        )
        async with aiohttp.ClientSession() as http, http.get(f"{mode.url}/health") as answer:
            assert (answer.status, (await answer.json())["code"]) == (500, "INTERNAL")
            request_id = answer.headers["x-request-id"]
        assert await mode.terminate() == 0
        [event] = server.events()
    assert event["exception"]["values"][-1]["value"] == "a bug in a process"
    assert (event["tags"]["mode"], event["tags"]["request_id"]) == ("consumer", request_id)
