"""The event routes as the API mode serves them, over topics of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.clocks.present import EnvironmentClocks
from app.config import Settings
from app.infra.clickhouse import ClickHouse
from app.infra.kafka import Batch, Producer
from app.kernel.clock import Clock
from app.kernel.scope import Scope
from app.metering.consumer import EventStore
from app.modes.probes import application
from app.rest.events import EventDoor
from app.runtime import Runtime
from app.tenants.authentication import open_authenticator
from tests.metering.streams import read_all
from tests.tenants import make


@dataclass
class Door:
    """The routes, somebody who may use them, and what has come out behind them."""

    runtime: Runtime
    app: Any
    scope: Scope
    key: str
    client: httpx.AsyncClient

    async def post(self, path: str, content: Any, **options: Any) -> httpx.Response:
        """Send JSON, or bytes as they are, with the key."""
        headers = {"x-api-key": self.key, "content-type": "application/json"}
        headers |= options.pop("headers", {})
        body = {"content": content} if isinstance(content, bytes) else {"json": content}
        return await self.client.post(path, **body, headers=headers, **options)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers={"x-api-key": self.key})

    async def sent(self, topic: str = "events") -> list[bytes]:
        """Every row that has reached the topic, in no order between partitions."""
        messages = await read_all(self.runtime.settings, topic)
        return [line for message in messages for line in message.value.splitlines()]

    async def store(self, topic: str = "events") -> None:
        """Bring what has reached the topic into the store, as the consumer does."""
        from_topic = await read_all(self.runtime.settings, topic)
        store = EventStore(self.runtime.clickhouse, self.runtime.producer, clock=self.runtime.clock)
        for message in from_topic:
            await store.handle(Batch(topic, [message]))


@asynccontextmanager
async def opened(
    settings: Settings, clickhouse: ClickHouse, producer: Producer, clock: Clock, **options: Any
) -> AsyncIterator[Door]:
    absent: Any = None
    runtime = Runtime(
        settings=settings,
        clock=EnvironmentClocks(clock),
        clickhouse=clickhouse,
        producer=producer,
        storage=absent,
        temporal=absent,
    )
    scope = make.production(await make.tenant(clock))
    permissions = options.get("permissions", ("event:write", "event:read", "usage:read"))
    key = (await make.key(scope, clock, permissions=permissions)).secret.text
    async with open_authenticator(settings, clock) as authenticator:
        app = application(runtime, list(EventDoor(runtime, authenticator).routes()))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tariff.test") as client:
            yield Door(runtime, app, scope, key, client)
