"""A company in a development environment whose customers live on a test clock."""

from datetime import datetime, timedelta

from app.clocks import actions, reads
from app.clocks.actions import CreateTestClock
from app.clocks.test_clock import Governs
from app.infra.due import Tally
from app.kernel.clock import FixedClock
from app.kernel.copies import replace
from app.kernel.scope import SYSTEM
from app.runs.draining import Advance, Draining
from app.runs.registry import kinds
from tests.invoicing import world as worlds
from tests.invoicing.world import JAN, World

# What the machine's clock shows meanwhile: long after all that happens on test clocks.
MACHINE = JAN + timedelta(days=3650)


async def build(
    clickhouse, storage, *, governs: Governs = Governs.CUSTOMERS, **options: int
) -> World:
    """As of 1 January 2025 on the clock. The clock's id is the world's `clock_id`."""
    world = await worlds.build(clickhouse, storage, development=True, **options)
    command = CreateTestClock(name="Clock", governs=governs, frozen_at=JAN)
    clock = await actions.create(world.scope, command, by=SYSTEM, at=MACHINE)
    machine = FixedClock(MACHINE)
    services = replace(world.services, clock=machine, visibility=worlds.CaughtUp(machine))
    world = replace(world, services=services)
    return replace(world, clock_id=clock.id) if governs is Governs.CUSTOMERS else world


async def clock_of(world: World):
    if world.clock_id is not None:
        return await reads.get(world.scope, world.clock_id)
    return await reads.of_environment(world.scope)


def draining(world: World, clock_id: str) -> Draining:
    return Draining(
        Advance(
            scope=world.scope,
            clock_id=clock_id,
            watermark=MACHINE,
            limit=world.services.settings.chunk_size,
            kinds=kinds(world.services),
            machine=world.services.clock,
        )
    )


async def drain(world: World) -> Tally:
    """What a worker does with a clock that is on its way, to the end."""
    spell = draining(world, (await clock_of(world)).id)
    while await spell.step():
        pass
    return spell.tally


async def advance(world: World, to: datetime) -> Tally:
    """Bring the world's clock to `to`; the world's actions then happen there."""
    clock = await clock_of(world)
    await actions.advance(world.scope, clock.id, to, by=SYSTEM, at=MACHINE)
    done = await drain(world)
    world.clock.at = to
    return done
