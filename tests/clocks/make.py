"""Test clocks, made by the real actions in development environments that really exist."""

from datetime import UTC, datetime

from app.clocks import actions
from app.clocks.actions import CreateTestClock
from app.clocks.test_clock import Governs
from app.kernel.clock import SystemClock
from app.kernel.scope import SYSTEM
from tests.tenants import make

JAN = datetime(2025, 1, 1, tzinfo=UTC)
MACHINE = datetime(2024, 6, 15, 12, tzinfo=UTC)


async def development():
    """The development environment of a new tenant."""
    return make.development(await make.tenant(SystemClock()))


async def clock(scope, *, name="Clock", governs=Governs.CUSTOMERS, frozen_at=JAN):
    command = CreateTestClock(name=name, governs=governs, frozen_at=frozen_at)
    return await actions.create(scope, command, by=SYSTEM, at=MACHINE)
