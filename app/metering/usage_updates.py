"""Hints that usage may have changed: small, coalesced, and never the numbers themselves.

Whoever shows live usage listens to them, and reads what it shows from the store. A hint may
come twice or for nothing. One that is lost costs a reader nothing but time, so readers also
look from time to time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec
import structlog
from msgspec import Struct

from app.config import Kafka
from app.infra.kafka import USAGE_UPDATES, Producer, follow
from app.kernel.errors import Unavailable
from app.kernel.scope import Scope

log = structlog.get_logger(__name__)

# Customers named by one hint; more make more hints.
MAX_CUSTOMERS = 500


class UsageHint(Struct, frozen=True):
    """Events of some of these names may have been stored for some of these customers."""

    tenant_id: str
    environment_id: str
    external_customer_ids: list[str]
    event_names: list[str]

    @property
    def scope(self) -> Scope:
        return Scope(self.tenant_id, self.environment_id)


_decoder = msgspec.json.Decoder(UsageHint)
_encoder = msgspec.json.Encoder()


def hints(touched: Iterable[tuple[str, str, str, str]]) -> list[UsageHint]:
    """One hint for each scope and up to 500 of its customers.

    `touched` gives tenant, environment, external customer id and event name of every event.
    """
    names: dict[tuple[str, str], dict[str, set[str]]] = {}
    for tenant_id, environment_id, customer, name in set(touched):
        customers = names.setdefault((tenant_id, environment_id), {})
        customers.setdefault(customer, set()).add(name)
    found = []
    for (tenant_id, environment_id), customers in names.items():
        ids = sorted(customers)
        for start in range(0, len(ids), MAX_CUSTOMERS):
            part = ids[start : start + MAX_CUSTOMERS]
            events = sorted(set().union(*(customers[customer] for customer in part)))
            found.append(UsageHint(tenant_id, environment_id, part, events))
    return found


async def announce(producer: Producer, found: Sequence[UsageHint]) -> None:
    """Send the hints. Failing to is logged and no more: events are stored already."""
    try:
        await asyncio.gather(
            *(
                producer.send(
                    USAGE_UPDATES, _encoder.encode(hint), key=hint.environment_id.encode()
                )
                for hint in found
            )
        )
    except Unavailable as error:
        log.warning("usage_hints_not_sent", hints=len(found), error=str(error))


@asynccontextmanager
async def usage_hints(settings: Kafka) -> AsyncIterator[AsyncIterator[UsageHint]]:
    """The hints sent while the block lasts, of every scope. Raises: Unavailable."""
    async with follow(settings, USAGE_UPDATES) as values:
        yield _decoded(values)


async def _decoded(values: AsyncIterator[bytes]) -> AsyncIterator[UsageHint]:
    async for value in values:
        try:
            yield _decoder.decode(value)
        except msgspec.DecodeError as error:
            log.warning("usage_hint_unreadable", error=str(error))
