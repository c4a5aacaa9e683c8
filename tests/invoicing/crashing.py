"""One billing run without Temporal, as a process that a test lets die at a crash point.

TARIFF_CRASH_AT=POINT python -m tests.invoicing.crashing TENANT ENVIRONMENT INSTANT
"""

import asyncio
import os
import sys
from datetime import datetime

from app.config import load
from app.infra.clickhouse import open_clickhouse
from app.infra.due import Page
from app.infra.postgres import postgres
from app.infra.s3 import open_storage
from app.invoicing.billing import (
    Billing,
    bill_page,
    change_page,
    credit_page,
    finalize_page,
    migrate_page,
    print_page,
)
from app.invoicing.correction_run import correct_page
from app.kernel.clock import FixedClock
from app.kernel.scope import Scope
from tests.invoicing.world import CaughtUp


async def main(tenant_id: str, environment_id: str, instant: str) -> None:
    at = datetime.fromisoformat(instant)
    settings = load({**os.environ, "TARIFF_CONFIG": os.devnull})
    async with (
        postgres(settings.postgres),
        open_clickhouse(settings.clickhouse) as clickhouse,
        open_storage(settings.s3) as storage,
    ):
        clock = FixedClock(at)
        services = Billing(clickhouse, storage, clock, CaughtUp(clock), settings.billing)
        page = Page(Scope(tenant_id, environment_id), at, at, settings.billing.chunk_size)
        for step in (
            migrate_page,
            change_page,
            correct_page,
            bill_page,
            finalize_page,
            credit_page,
            print_page,
        ):
            await step(services, page)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
