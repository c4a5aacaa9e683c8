"""An advance without Temporal, as a process that a test lets die at a crash point.

TARIFF_CRASH_AT=POINT python -m tests.runs.crashing TENANT ENVIRONMENT CLOCK
"""

import asyncio
import os
import sys

from app.config import load
from app.infra.clickhouse import open_clickhouse
from app.infra.postgres import postgres
from app.infra.s3 import open_storage
from app.invoicing.billing import Billing
from app.kernel.clock import FixedClock
from app.kernel.scope import Scope
from app.runs.draining import Advance, Draining
from app.runs.registry import kinds
from tests.invoicing.world import CaughtUp
from tests.runs.clocked import MACHINE


async def main(tenant_id: str, environment_id: str, clock_id: str) -> None:
    settings = load({**os.environ, "TARIFF_CONFIG": os.devnull})
    machine = FixedClock(MACHINE)
    async with (
        postgres(settings.postgres),
        open_clickhouse(settings.clickhouse) as clickhouse,
        open_storage(settings.s3) as storage,
    ):
        services = Billing(clickhouse, storage, machine, CaughtUp(machine), settings.billing)
        scope, ours = Scope(tenant_id, environment_id), kinds(services)
        limit = settings.billing.chunk_size
        spell = Draining(Advance(scope, clock_id, MACHINE, limit, ours, machine))
        while await spell.step():
            pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
