"""Every verb on test clocks, and every refusal."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.clocks import actions, reads
from app.clocks.errors import (
    AdvanceTooFar,
    ClockAdvancing,
    ClockBackwards,
    EnvironmentHasClock,
    EnvironmentInUse,
    GovernsEnvironment,
    ProductionEnvironment,
)
from app.clocks.present import EnvironmentClocks
from app.clocks.test_clock import ClockStatus, Governs
from app.infra import due
from app.infra.postgres import fetch, writing
from app.kernel.clock import FixedClock
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.listing import Condition, PageRequest
from app.kernel.scope import SYSTEM, Scope
from app.tenants.errors import Archived, NotArchived
from tests.clocks import make
from tests.clocks.make import JAN, MACHINE
from tests.tenants import make as tenants
from tests.tenants.refusal import refused

FEB = datetime(2025, 2, 1, tzinfo=UTC)
HOW = {"by": SYSTEM, "at": MACHINE}


@pytest.fixture
async def place(database):
    return await make.development()


async def trail(scope, clock_id):
    """What the audit log and the outbox say of a clock."""
    entries = await fetch(
        scope,
        "SELECT action FROM audit_entries WHERE entity_id = $1 ORDER BY id",
        clock_id,
    )
    told = await fetch(
        scope, "SELECT name FROM outbox WHERE entity_id = $1 ORDER BY position", clock_id
    )
    return [row["action"] for row in entries], [row["name"] for row in told]


async def test_a_clock_is_made_renamed_put_away_and_taken_up_again(place):
    made = await make.clock(place, name=" Renewals ")
    assert (made.name, made.frozen_at, made.status) == ("Renewals", JAN, ClockStatus.READY)
    assert (made.created_at, made.updated_at) == (MACHINE, MACHINE)
    named = await actions.update(place, made.id, {"name": "Trials"}, **HOW)
    archived = await actions.archive(place, made.id, **HOW)
    assert (named.name, archived.status) == ("Trials", ClockStatus.ARCHIVED)
    assert archived.archived_at == MACHINE
    restored = await actions.restore(place, made.id, **HOW)
    assert restored.status is ClockStatus.READY
    assert await reads.get(place, made.id) == restored
    assert await trail(place, made.id) == (
        ["test_clock.create", "test_clock.update", "test_clock.archive", "test_clock.restore"],
        ["test_clock.created", "test_clock.updated", "test_clock.archived", "test_clock.restored"],
    )


async def test_an_advance_moves_along_and_arrives(place):
    made = await make.clock(place)
    asked = await actions.advance(place, made.id, FEB, **HOW)
    assert (asked.status, asked.frozen_at, asked.advancing_to) == (ClockStatus.ADVANCING, JAN, FEB)
    middle = JAN + timedelta(days=10)
    assert await actions.move(place, made.id, middle, at=MACHINE)
    assert not await actions.move(place, made.id, JAN, at=MACHINE)  # back
    assert not await actions.move(place, made.id, FEB + timedelta(1), at=MACHINE)  # beyond
    assert not await actions.arrive(place, made.id, middle, at=MACHINE)  # not asked for
    assert (await reads.get(place, made.id)).frozen_at == middle
    assert await actions.arrive(place, made.id, FEB, at=MACHINE)
    arrived = await reads.get(place, made.id)
    assert (arrived.status, arrived.frozen_at) == (ClockStatus.READY, FEB)
    assert arrived.advancing_to is None
    for late in (
        actions.move(place, made.id, FEB, at=MACHINE),
        actions.arrive(place, made.id, FEB, at=MACHINE),
        actions.fail(place, made.id, "late", at=MACHINE),
    ):
        assert not await late
    assert await trail(place, made.id) == (
        ["test_clock.create", "test_clock.advance", "test_clock.arrive"],
        ["test_clock.created", "test_clock.advancing", "test_clock.ready"],
    )


async def test_an_advance_that_broke_off_goes_on_from_where_it_stands(place):
    made = await make.clock(place)
    await actions.advance(place, made.id, FEB, **HOW)
    middle = JAN + timedelta(days=10)
    await actions.move(place, made.id, middle, at=MACHINE)
    assert await actions.fail(place, made.id, "x" * 2000, at=MACHINE)
    failed = await reads.get(place, made.id)
    assert (failed.status, failed.frozen_at) == (ClockStatus.FAILED, middle)
    assert failed.failure == "x" * 1000
    again = await actions.advance(place, made.id, FEB, **HOW)
    assert (again.status, again.frozen_at, again.failure) == (ClockStatus.ADVANCING, middle, None)


@pytest.mark.parametrize(
    ("to", "error", "code"),
    [
        (JAN - timedelta(microseconds=1), ClockBackwards, "CLOCK_BACKWARDS"),
        (datetime(2030, 1, 1, 0, 0, 0, 1, tzinfo=UTC), AdvanceTooFar, "ADVANCE_TOO_FAR"),
        (datetime(1999, 1, 1, tzinfo=UTC), Invalid, "INVALID_TO"),
        (datetime(9999, 1, 1, tzinfo=UTC), Invalid, "INVALID_TO"),
    ],
)
async def test_a_clock_goes_forwards_and_five_years_at_most(place, to, error, code):
    made = await make.clock(place)
    advance = actions.advance(place, made.id, to, **HOW)
    await refused(error, advance, field="to", code=code)


@pytest.mark.parametrize(
    ("since", "to"),
    [
        (JAN, JAN),  # does what is due where it stands
        (JAN, datetime(2030, 1, 1, tzinfo=UTC)),
        (datetime(2024, 2, 29, tzinfo=UTC), datetime(2029, 2, 28, tzinfo=UTC)),
    ],
)
async def test_the_bounds_of_an_advance_are_within_them(place, since, to):
    made = await make.clock(place, frozen_at=since)
    assert (await actions.advance(place, made.id, to, **HOW)).advancing_to == to


async def test_a_clock_under_way_is_left_alone(place):
    made = await make.clock(place)
    await actions.advance(place, made.id, FEB, **HOW)
    for action in (
        actions.advance(place, made.id, FEB, **HOW),
        actions.archive(place, made.id, **HOW),
    ):
        await refused(ClockAdvancing, action, code="CLOCK_ADVANCING")


async def test_of_two_advances_asked_for_at_once_one_is_refused(place):
    made = await make.clock(place)
    asked = [actions.advance(place, made.id, FEB, **HOW) for _ in range(3)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    kinds = sorted(type(one).__name__ for one in outcomes)
    assert kinds == ["ClockAdvancing", "ClockAdvancing", "TestClock"]


async def test_an_archived_clock_changes_only_by_being_restored(place):
    made = await make.clock(place)
    await refused(NotArchived, actions.restore(place, made.id, **HOW))
    await actions.archive(place, made.id, **HOW)
    for action in (
        actions.archive(place, made.id, **HOW),
        actions.update(place, made.id, {"name": "New"}, **HOW),
        actions.advance(place, made.id, FEB, **HOW),
    ):
        await refused(Archived, action, code="ARCHIVED", field="id")


async def test_names_are_unique_among_clocks_in_use(place):
    first, other = await make.clock(place), await make.clock(place, name="Other")
    await refused(AlreadyExists, make.clock(place), field="name", value="Clock")
    rename = actions.update(place, other.id, {"name": "Clock"}, **HOW)
    await refused(AlreadyExists, rename, field="name")
    await actions.archive(place, first.id, **HOW)
    await make.clock(place)
    await refused(AlreadyExists, actions.restore(place, first.id, **HOW), field="name")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": " "}, "name", "INVALID_NAME"),
        ({"frozen_at": datetime(1999, 12, 31, tzinfo=UTC)}, "frozenAt", "INVALID_FROZEN_AT"),
        ({"frozen_at": datetime(2100, 1, 1, tzinfo=UTC)}, "frozenAt", "INVALID_FROZEN_AT"),
    ],
)
async def test_bad_input_makes_no_clock(place, fields, field, code):
    await refused(Invalid, make.clock(place, **fields), field=field, code=code)


@pytest.mark.parametrize("governs", Governs)
async def test_a_production_environment_has_no_clocks(database, governs):
    made = tenants.production(await tenants.tenant(FixedClock(MACHINE)))
    refusal = make.clock(made, governs=governs)
    await refused(ProductionEnvironment, refusal, code="PRODUCTION_ENVIRONMENT")


async def test_an_environment_has_one_clock_of_its_own_also_when_that_is_archived(place):
    made = await make.clock(place, governs=Governs.ENVIRONMENT)
    await make.clock(place, name="For customers")
    second = {"name": "Second", "governs": Governs.ENVIRONMENT}
    await refused(EnvironmentHasClock, make.clock(place, **second), clock_id=made.id)
    await actions.archive(place, made.id, **HOW)
    await refused(EnvironmentHasClock, make.clock(place, **second), field="governs")


async def test_an_environment_where_something_is_scheduled_gets_no_clock(place):
    async with writing(place):
        await due.schedule(place, "subscription.bill", due.Item("sub_1", JAN, None))
    refusal = make.clock(place, governs=Governs.ENVIRONMENT)
    await refused(EnvironmentInUse, refusal, code="ENVIRONMENT_IN_USE", field="governs")
    await make.clock(place)  # one for customers does no harm


async def test_a_clock_of_another_scope_does_not_exist(place):
    made = await make.clock(place)
    stranger = await make.development()
    for action in (
        actions.update(stranger, made.id, {"name": "Mine"}, **HOW),
        actions.advance(stranger, made.id, FEB, **HOW),
        actions.archive(stranger, made.id, **HOW),
        actions.restore(stranger, made.id, **HOW),
    ):
        await refused(NotFound, action, field="id")
    assert await reads.by_ids(stranger, [made.id]) == {}
    assert not await actions.move(stranger, made.id, JAN, at=MACHINE)


async def test_customers_go_on_clocks_that_govern_customers_and_are_in_use(place):
    whole = await make.clock(place, name="Whole", governs=Governs.ENVIRONMENT)
    made = await make.clock(place)
    with pytest.raises(GovernsEnvironment):
        await reads.open_to_customers(place, whole.id, field="testClockId")
    assert await reads.open_to_customers(place, made.id, field="testClockId") == made
    await actions.archive(place, made.id, **HOW)
    with pytest.raises(Archived):
        await reads.open_to_customers(place, made.id, field="testClockId")
    with pytest.raises(NotFound):
        await reads.open_to_customers(place, "clk_none", field="testClockId")


async def test_clocks_are_listed_by_what_they_do(place):
    ready, gone = await make.clock(place, name="A"), await make.clock(place, name="B")
    await actions.archive(place, gone.id, **HOW)
    found = await reads.page(place, PageRequest(where=Condition("status", "eq", "archived")))
    assert [clock.id for clock in found.rows] == [gone.id]
    found = await reads.page(place, PageRequest(search="a", first=5))
    assert [clock.id for clock in found.rows] == [ready.id]


async def test_a_process_knows_the_presents_of_its_environments(place):
    free = await make.development()
    clocks = EnvironmentClocks(FixedClock(MACHINE))
    assert clocks.now(place) == clocks.now() == MACHINE
    whole = await make.clock(place, name="Whole", governs=Governs.ENVIRONMENT)
    late = await make.clock(place, name="Late", frozen_at=FEB)
    gone = await make.clock(place, name="Gone", frozen_at=datetime(2090, 1, 1, tzinfo=UTC))
    await actions.archive(place, gone.id, **HOW)
    await clocks.look()
    assert (clocks.now(place), clocks.now(), clocks.now(free)) == (JAN, MACHINE, MACHINE)
    assert clocks.presents(place) == (JAN, FEB)
    assert clocks.presents(free) == (MACHINE, MACHINE)
    # Where a clock is going counts at once: events of the time until then may come before it.
    await actions.advance(place, late.id, FEB + timedelta(days=3), **HOW)
    await clocks.look()
    assert clocks.presents(place) == (JAN, FEB + timedelta(days=3))
    # And an archived clock of the environment still is its present.
    await actions.archive(place, whole.id, **HOW)
    await clocks.look()
    assert clocks.now(place) == JAN


async def test_what_a_process_did_itself_it_knows_at_once(place):
    clocks = EnvironmentClocks(FixedClock(MACHINE))
    clocks.learn(place, await make.clock(place, name="Whole", governs=Governs.ENVIRONMENT))
    clocks.learn(place, await make.clock(place, frozen_at=FEB))
    assert clocks.now(place) == JAN
    assert clocks.presents(place) == (JAN, FEB)
    assert clocks.now(Scope(place.tenant_id, "env_other")) == MACHINE


async def test_a_change_is_seen_by_who_follows_within_a_second(place):
    clocks = EnvironmentClocks(FixedClock(MACHINE))
    following = asyncio.create_task(clocks.follow())
    try:
        await make.clock(place, governs=Governs.ENVIRONMENT)
        async with asyncio.timeout(5):
            while clocks.now(place) != JAN:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        following.cancel()
