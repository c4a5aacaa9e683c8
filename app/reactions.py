"""Who reacts to which event: the whole choreography, on one page.

Domains tell what happened through the outbox, downwards to nobody. The relay numbers it and
puts it on the topic of system events, where reactions hear it at least once and, within an
environment, in order. A reaction must make a second time harmless.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog
from prometheus_client import Counter

from app.infra.clickhouse import ClickHouse
from app.infra.kafka import SYSTEM_EVENTS, Batch, Poison, Producer
from app.infra.outbox import Entry
from app.infra.telemetry import bound
from app.kernel.clock import Clock
from app.kernel.errors import DomainError
from app.metering import actions as metering

log = structlog.get_logger(__name__)

# By the event's name, so this also counts invoices finalized, subscriptions created and so on.
RELAYED: Final = Counter("tariff_outbox_relayed_total", "Events told through Kafka.", ["event"])
REACTED: Final = Counter("tariff_reactions_total", "Reactions run.", ["event", "outcome"])

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(Entry)


@dataclass(frozen=True, slots=True)
class Hands:
    """What reactions work with."""

    clickhouse: ClickHouse
    clock: Clock


Reaction = Callable[[Hands, Entry], Awaitable[object]]


async def count_past_events(hands: Hands, entry: Entry) -> None:
    """A new meter counts what was stored before it."""
    at = hands.clock.now(entry.scope)
    await metering.backfill(entry.scope, hands.clickhouse, entry.entity_id, at=at)


REACTIONS: Final[Mapping[str, Sequence[Reaction]]] = {
    "meter.created": (count_past_events,),
}


async def tell(producer: Producer, entries: Sequence[Entry]) -> None:
    """Put entries of the outbox on the topic, acknowledged. Raises: Unavailable.

    Those of one environment stay in order. After Unavailable some may be there: all are told
    again, and their sequence numbers tell which a listener has seen.
    """
    await asyncio.gather(
        *(
            producer.send(
                SYSTEM_EVENTS, _encoder.encode(entry), key=entry.scope.environment_id.encode()
            )
            for entry in entries
        )
    )
    for entry in entries:
        RELAYED.labels(entry.name).inc()


class Reactions:
    """Handles the topic of system events."""

    def __init__(
        self, hands: Hands, reactions: Mapping[str, Sequence[Reaction]] = REACTIONS
    ) -> None:
        self._hands, self._reactions = hands, reactions

    async def handle(self, batch: Batch) -> Sequence[Poison]:
        """React to each event in turn. Raises what a reaction raises; then all come again."""
        poison = []
        for message in batch.messages:
            try:
                entry = _decoder.decode(message.value)
            except msgspec.DecodeError as error:
                poison.append(Poison(message, message.value, "NOT_AN_EVENT", str(error)))
            else:
                await self._react(entry)
        return poison

    async def _react(self, entry: Entry) -> None:
        scope = entry.scope
        with bound(tenant_id=scope.tenant_id, environment_id=scope.environment_id):
            for reaction in self._reactions.get(entry.name, ()):
                try:
                    await reaction(self._hands, entry)
                except DomainError as refusal:
                    # The world has moved on since: what it was about is gone or done.
                    REACTED.labels(entry.name, "refused").inc()
                    log.warning("reaction_refused", name=entry.name, reason=refusal.message)
                else:
                    REACTED.labels(entry.name, "done").inc()
