"""Temporal: the connection, and the one way payloads are written.

Payloads are JSON of frozen dataclasses that hold ids, counts and instants as ISO 8601 text,
so that a history stays readable and replayable without our classes.
"""

import asyncio
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from app.config import Temporal
from app.kernel.errors import Unavailable

_CONNECT_SECONDS = 10.0


async def connect_temporal(settings: Temporal, *, identity: str | None = None) -> Client:
    """A client of the namespace; it holds no resource that needs closing. Raises: Unavailable."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await Client.connect(
                settings.address,
                namespace=settings.namespace,
                api_key=settings.api_key or None,
                tls=settings.tls,
                identity=identity,
                connect_timeout=timedelta(seconds=_CONNECT_SECONDS),
            )
    except (RuntimeError, RPCError, OSError, TimeoutError) as error:
        reason = f"{settings.address}: {error or 'no answer in time'}"
        raise Unavailable("Temporal", reason) from error


async def ping(client: Client) -> None:
    """One round trip, for readiness. Raises: Unavailable."""
    try:
        async with asyncio.timeout(5):
            healthy = await client.service_client.check_health(timeout=timedelta(seconds=5))
    except (RPCError, OSError, TimeoutError) as error:
        raise Unavailable("Temporal", str(error) or "no answer in time") from error
    if not healthy:
        raise Unavailable("Temporal", "the frontend says that it is not serving")
