"""Runs and the sweep: in the sandbox, on a real Temporal server, and replayed."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from temporalio.client import WorkflowHistory
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import _Definition  # no public way to a definition yet

from app.infra.temporal import connect_temporal, ping
from app.invoicing import billing
from app.invoicing.errors import NumberTaken
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.work import FINALIZE
from app.kernel.copies import replace
from app.kernel.errors import Unavailable
from app.kernel.ids import ulid
from app.runs import activities as activities_module
from app.runs.activities import RunActivities
from app.runs.commands import (
    AwaitUsage,
    Begun,
    Place,
    RunBilling,
    SweepBilling,
    WorkPage,
    total,
)
from app.runs.schedules import ensure_schedules, schedule_id, start_billing_run
from app.runs.workflows import WORKFLOWS, BillingRun, BillingSweep, run_id
from tests.invoicing.test_billing import APR, everything, invoices
from tests.invoicing.world import CaughtUp
from tests.processes import nothing_left

HISTORIES = Path(__file__).parents[1] / "histories"


@pytest.fixture
async def temporal(settings):
    return await connect_temporal(settings.temporal)


@asynccontextmanager
async def working(client, world, *, cached=1000, queue=None):
    """A worker on a task queue of its own; yields the queue."""
    queue = queue or f"test-{ulid()}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=RunActivities(world.services).all,
        max_cached_workflows=cached,
    ):
        yield queue


def place_of(world):
    return Place(world.scope.tenant_id, world.scope.environment_id)


@pytest.mark.parametrize("workflow", WORKFLOWS)
async def test_the_workflow_loads_in_the_sandbox(workflow):
    SandboxedWorkflowRunner().prepare_workflow(_Definition.must_from_class(workflow))


async def test_the_server_is_reached(temporal):
    await ping(temporal)


async def test_an_absent_server_is_unavailable(settings, unused_tcp_port):
    nowhere = msgspec.structs.replace(settings.temporal, address=f"127.0.0.1:{unused_tcp_port}")
    with pytest.raises(Unavailable) as refused:
        await connect_temporal(nowhere)
    assert refused.value.what == "Temporal"


@pytest.mark.parametrize("cached", [1000, 0], ids=["sticky", "replayed at every step"])
async def test_a_run_bills_finalizes_and_prints_what_is_due(world, temporal, cached):
    small = world.patient(chunk_size=2)
    for name in ("a", "b", "c"):
        await small.subscribe(name)
    await small.use("a", [(APR - timedelta(days=40), "500", "eu")])
    small.clock.at = APR
    async with working(temporal, small, cached=cached) as queue:
        handle = await start_billing_run(temporal, small.scope, task_queue=queue)
        assert await handle.result() == {"drafted": 12, "finalized": 12, "printed": 12}
        found = await invoices(small)
        assert {invoice.status for invoice in found} == {InvoiceStatus.FINALIZED}
        assert all(invoice.pdf_key for invoice in found)
        before = await everything(small)
        again = await start_billing_run(temporal, small.scope, task_queue=queue)
        assert await again.result() == {}
        assert await everything(small) == before
        await _replay(await handle.fetch_history())


@pytest.mark.parametrize("cached", [1000, 0], ids=["sticky", "replayed at every step"])
async def test_a_run_of_much_goes_on_in_shards_side_by_side(world, temporal, monkeypatch, cached):
    monkeypatch.setattr(activities_module, "_WORTH_A_SHARD", 2)
    small = world.patient(chunk_size=2, shards=3)
    names = [f"customer-{n}" for n in range(8)]
    for name in names:
        await small.subscribe(name)
    small.clock.at = APR
    begun = await RunActivities(small.services).begin(place_of(small))
    assert begun.shards["subscription.bill"] == begun.shards["invoice.print"] == 3
    assert "subscription.change" not in begun.shards
    async with working(temporal, small, cached=cached) as queue:
        handle = await start_billing_run(temporal, small.scope, task_queue=queue)
        assert await handle.result() == {"drafted": 32, "finalized": 32, "printed": 32}
        found = await invoices(small)
        assert {invoice.status for invoice in found} == {InvoiceStatus.FINALIZED}
        assert len({invoice.number for invoice in found}) == 32
        assert max(invoice.number for invoice in found).endswith("32")
        before = await everything(small)
        again = await start_billing_run(temporal, small.scope, task_queue=queue)
        assert await again.result() == {}
        assert await everything(small) == before
        await _replay(await handle.fetch_history())


@pytest.mark.parametrize("customers", [1, 7])
async def test_a_long_run_goes_on_in_a_new_history(world, temporal, monkeypatch, customers):
    monkeypatch.setattr(activities_module, "_WORTH_A_SHARD", 2)
    for number in range(customers):
        await world.subscribe(f"customer-{number}")
    small = world.patient(chunk_size=1, shards=2)
    monkeypatch.setattr("temporalio.workflow.Info.is_continue_as_new_suggested", lambda _: True)
    async with working(temporal, small) as queue:
        handle = await start_billing_run(temporal, small.scope, task_queue=queue)
        expected = dict.fromkeys(("drafted", "finalized", "printed"), customers)
        assert await handle.result() == expected
        described = await temporal.get_workflow_handle(handle.id).describe()
        assert described.run_id != handle.first_execution_run_id


async def test_a_run_asked_for_twice_is_one_run(world, temporal):
    await world.subscribe("acme")
    queue = f"test-{ulid()}"
    first = await start_billing_run(temporal, world.scope, task_queue=queue)
    second = await start_billing_run(temporal, world.scope, task_queue=queue)
    assert first.result_run_id == second.result_run_id
    async with working(temporal, world, queue=queue):
        assert await second.result() == {"drafted": 1, "finalized": 1, "printed": 1}


async def test_nothing_is_billed_before_accepted_events_are_counted(world, temporal):
    await world.subscribe("acme")

    class Behind(CaughtUp):
        asked = 0

        async def take(self):
            return world.clock.now()

        async def caught_up(self, watermark):
            self.asked += 1
            assert await invoices(world) == []
            return self.asked >= 3

    behind = Behind(world.services.clock)
    waiting = replace(world, services=replace(world.services, visibility=behind))
    async with working(temporal, waiting) as queue:
        handle = await start_billing_run(temporal, world.scope, task_queue=queue)
        assert (await handle.result())["drafted"] == 1
    assert behind.asked == 3


async def test_events_that_do_not_arrive_are_waited_for_again(world):
    class Stuck:
        async def caught_up(self, watermark):
            return False

    impatient = world.patient(usage_wait_seconds=0.05)
    stuck = RunActivities(replace(impatient.services, visibility=Stuck()))
    # Not an error that Temporal would be told not to retry.
    with pytest.raises(Unavailable, match="not counted yet"):
        await ActivityEnvironment().run(stuck.await_usage, AwaitUsage(APR.isoformat()))


async def test_what_a_rule_refuses_is_not_retried(world, monkeypatch):
    async def refuse(services, page):
        raise NumberTaken("INV-1")

    monkeypatch.setattr(billing, "finalize_page", refuse)
    page = WorkPage(Place("ten", "env"), FINALIZE, APR.isoformat(), APR.isoformat(), "")
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(RunActivities(world.services).work, page)
    assert (refused.value.type, refused.value.non_retryable) == ("NUMBER_TAKEN", True)


async def test_the_sweep_starts_a_run_wherever_something_is_due(
    world, temporal, settings, monkeypatch
):
    await nothing_left(settings)
    await world.subscribe("acme")
    monkeypatch.setattr(activities_module, "_PLACES", 1)
    async with working(temporal, world) as queue:
        await temporal.execute_workflow(
            BillingSweep.run, SweepBilling(), id=f"sweep-{ulid()}", task_queue=queue
        )
        run = run_id(place_of(world))
        handle = temporal.get_workflow_handle_for(BillingRun.run, run)
        assert (await handle.result())["finalized"] == 1
        due = await RunActivities(world.services).places_due(SweepBilling())
        assert place_of(world) not in due.places


async def test_the_schedule_is_made_once_and_follows_the_settings(settings, temporal):
    own = msgspec.structs.replace(
        settings, temporal=msgspec.structs.replace(settings.temporal, task_queue=f"test-{ulid()}")
    )
    often = msgspec.structs.replace(
        own, billing=msgspec.structs.replace(own.billing, run_interval_seconds=7200)
    )
    handle = temporal.get_schedule_handle(schedule_id(own))
    try:
        await asyncio.gather(*(ensure_schedules(temporal, own) for _ in range(3)))
        assert (await handle.describe()).schedule.spec.intervals[0].every == timedelta(
            seconds=own.billing.run_interval_seconds
        )
        await ensure_schedules(temporal, often)
        described = await handle.describe()
        assert described.schedule.spec.intervals[0].every == timedelta(hours=2)
        assert described.schedule.action.task_queue == own.temporal.task_queue
    finally:
        await handle.delete()


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda p: p.stem)
async def test_a_saved_history_replays(path):
    await _replay(WorkflowHistory.from_json(path.stem, json.loads(path.read_text())))


def test_every_workflow_has_a_saved_history():
    saved = {path.stem for path in HISTORIES.glob("*.json")}
    assert {"billing_run", "billing_sweep", "clock_advance"} <= saved


async def test_a_history_of_other_code_is_not_taken_for_ours():
    text = (HISTORIES / "billing_run.json").read_text()
    other = text.replace("runs.await_usage", "invoicing.something_else")
    assert other != text
    with pytest.raises(Exception, match=r"something_else|Nondeterminism|nondeterminism"):
        await _replay(WorkflowHistory.from_json("other", json.loads(other)))


async def _replay(history):
    replayer = Replayer(workflows=WORKFLOWS)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=True)
    assert result.replay_failure is None


def test_counts_add_up_by_what_was_done():
    assert total({"drafted": 2, "failed": 1}, {"drafted": 3}) == {"drafted": 5, "failed": 1}


def test_a_command_of_an_older_run_is_still_understood():
    place = Place("ten", "env")
    assert RunBilling(place) == RunBilling(place, begun=None, position=0, after="", tally={})
    assert Begun("", "", []).shards == {}
    page = WorkPage(place, FINALIZE, "", "", "")
    assert (page.shard, page.shards) == (0, 1)
