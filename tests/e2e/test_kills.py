"""Every service is killed again and again, while events are sent, counted and billed.

At the end everything that was sent is stored and billed once, to the last decimal.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from app.cli.demo.book import open_catalog
from app.cli.demo.client import Client, connect
from app.cli.demo.play import play
from app.cli.demo.scenario import Scenario
from app.config import Settings
from app.infra.temporal import connect_temporal
from tests.e2e.conftest import Issue
from tests.e2e.season import Event, copies, season
from tests.e2e.services import Services, send
from tests.processes import Processes

SENT, STORED, BILLED = "sending", "stored", "Closing months"
# When a service is killed: at which shares of which stages, by their progress. The same share
# twice: again as soon as it is back. Kafka and Temporal miss a consumer or a worker only after
# some 20 seconds, so there are not more of these.
MOMENTS = {
    "api": {SENT: (0.1, 0.4, 0.7), STORED: (0.6,), BILLED: (0.1,)},
    "temporal_worker": {SENT: (0.5,), BILLED: (0.1, 0.1)},
    "consumer": {STORED: (0.1, 0.1), BILLED: (0.1,)},
}
_LATEST_SECONDS = 0.2  # after the moment, at random
# Small steps make many of them, so that there is something to interrupt.
_SMALL_STEPS = {"TARIFF_BILLING_CHUNK_SIZE": "1", "TARIFF_EVENT_PROCESSING_MAX_ROWS": "200"}

_EVENTS = """query ($after: String) {
  events(first: 100, after: $after, orderBy: [{field: EVENT_ID}]) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { eventId externalCustomerId timestamp properties }
  }
}"""
_INVOICES = """query ($after: String) {
  invoices(first: 100, after: $after) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { id number status subscriptionId periodStart }
  }
}"""
_RUN = """mutation { billingRunStart {
  ... on BillingRun { workflowId runId } ... on Problem { code message } } }"""


async def test_services_that_are_killed_lose_nothing_and_double_nothing(
    topics: Settings, issue: Issue, processes: Processes
) -> None:
    scenario = season("Killed", months=12, count=3_000, seed=3)
    events = list(scenario.events())
    services = Services(processes, _SMALL_STEPS)
    _, key = await asyncio.gather(services.start(), issue(scenario.tenant))
    async with connect(services.url, key) as client:
        async with _killing(services) as killers:
            await open_catalog(client, scenario)
            async with asyncio.TaskGroup() as group:
                group.create_task(_watched(client, len(events), killers))
                await send(client, events, killers.moved, pause=0.15)
                await send(client, copies(events, seed=4), killers.ignore)
            outcome = await play(client, scenario, killers.moved)
        assert outcome.differences == []
        assert killers.missed == []
        await _run_is_over(topics, client)
        await _everything_sent_is_stored_as_it_was_sent(client, events)
        await _every_period_is_billed_once(client, scenario)
    assert await services.stop() == [0, 0, 0]


async def _watched(client: Client, count: int, killers: "_Killers") -> None:
    """Tell how many events are stored, until all are."""
    stored = 0
    async with asyncio.timeout(120):
        while stored < count:
            await asyncio.sleep(0.05)
            answer = await client.query("{ events { totalCount } }")
            stored = answer["events"]["totalCount"]
            killers.moved(STORED, stored, count)


class _Killer:
    """Kills a service at its moments, each a little later than it comes, and starts it again."""

    def __init__(self, services: Services, name: str) -> None:
        self._services, self._name = services, name
        self._dice = random.Random(name)  # noqa: S311 - the same delays every time
        self._left = {stage: list(shares) for stage, shares in MOMENTS[name].items()}
        self._progress: dict[str, float] = {}
        self._due: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        self.missed: list[str] = []

    def moved(self, stage: str, done: int, of: int) -> None:
        self._progress[stage] = done / of
        left = self._left.get(stage, [])
        if left and done >= left[0] * of:
            self._due.put_nowait((stage, left.pop(0)))

    async def run(self) -> None:
        while True:
            stage, share = await self._due.get()
            await asyncio.sleep(self._dice.uniform(0, _LATEST_SECONDS))
            if self._progress[stage] == 1:
                self.missed.append(f"{stage} was over before the kill at {share}")
            await self._services.restart(self._name)
            self._due.task_done()

    async def finish(self) -> None:
        """Return when the service is back from the last kill."""
        self.missed += [
            f"{stage} never came to {left}" for stage, left in self._left.items() if left
        ]
        await self._due.join()


class _Killers:
    """One for each service; they know nothing of each other."""

    def __init__(self, services: Services) -> None:
        self.each = [_Killer(services, name) for name in MOMENTS]

    @property
    def missed(self) -> list[str]:
        return [told for killer in self.each for told in killer.missed]

    def moved(self, stage: str, done: int, of: int) -> None:
        for killer in self.each:
            killer.moved(stage, done, of)

    def ignore(self, *_: object) -> None:
        """Progress that is no reason to kill."""


@asynccontextmanager
async def _killing(services: Services) -> AsyncIterator[_Killers]:
    killers = _Killers(services)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(killer.run()) for killer in killers.each]
        yield killers
        for killer in killers.each:
            await killer.finish()
        for task in running:
            task.cancel()


async def _run_is_over(settings: Settings, client: Client) -> None:
    """A run of the environment comes to its end, the one under way or, after it, an empty one."""
    run = await client.do(_RUN)
    temporal = await connect_temporal(settings.temporal)
    handle = temporal.get_workflow_handle(run["workflowId"], run_id=run["runId"])
    async with asyncio.timeout(60):
        tally = await handle.result()
    assert "failed" not in tally


async def _everything_sent_is_stored_as_it_was_sent(
    client: Client, events: Sequence[Event]
) -> None:
    stored = await _all(client, "events", _EVENTS)
    told = {
        node["eventId"]: (
            node["externalCustomerId"],
            datetime.fromisoformat(node["timestamp"]),
            node["properties"],
        )
        for node in stored
    }
    assert len(stored) == len(told), "an event is listed twice"
    assert told == {
        event["event_id"]: (
            event["external_customer_id"],
            datetime.fromisoformat(event["timestamp"]),
            event["properties"],
        )
        for event in events
    }


async def _every_period_is_billed_once(client: Client, scenario: Scenario) -> None:
    invoices = await _all(client, "invoices", _INVOICES)
    assert len(invoices) == len(scenario.customers) * len(scenario.months)
    assert {each["status"] for each in invoices} == {"FINALIZED"}
    billed = Counter((each["subscriptionId"], each["periodStart"]) for each in invoices)
    assert set(billed.values()) == {1}
    numbers = sorted(each["number"] for each in invoices)
    counts = [int(number.rpartition("-")[2]) for number in numbers]
    assert counts == list(range(1, len(invoices) + 1)), numbers


async def _all(client: Client, field: str, query: str) -> list[dict[str, Any]]:
    """Every node of a connection, page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await client.query(query, after=after))[field]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        after = page["pageInfo"]["endCursor"]
