"""Feeds the hub from Kafka: each API process hears every hint, from now on, in no group."""

import asyncio
from collections.abc import Hashable
from random import uniform
from typing import Final

import structlog

from app.config import Kafka
from app.graphql.hub import Hub
from app.kernel.errors import Unavailable
from app.kernel.scope import Scope
from app.metering.usage_updates import usage_hints

log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 15.0


def usage_key(scope: Scope, external_customer_id: str, event_name: str) -> Hashable:
    """What a watcher of a customer's usage by events of a name watches."""
    return ("usage", scope, external_customer_id, event_name)


async def feed(hub: Hub, settings: Kafka) -> None:
    """Pass hints on until cancelled; while Kafka is away, watchers read on their own."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            async with usage_hints(settings) as hints:
                hub.hint_all()  # for what was said while nobody listened
                pause = _FIRST_PAUSE_SECONDS
                async for hint in hints:
                    for customer in hint.external_customer_ids:
                        for name in hint.event_names:
                            hub.hint(usage_key(hint.scope, customer, name))
        except Unavailable as error:
            log.warning("usage_hints_interrupted", reason=error.message, seconds=pause)
        await asyncio.sleep(pause * uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
