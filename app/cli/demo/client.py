"""The demo's view of the product: its public HTTP interface, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

# A bulk request of this many events is about half a megabyte.
BATCH = 2_000
_CONNECTIONS = 4
_ATTEMPTS = 180
_PAUSE_SECONDS = 0.5
# What passes by itself: the same request is still being carried out, or a server is away.
_AGAIN = (409, 503)
_DEADLINE = aiohttp.ClientTimeout(total=60)


class Refused(Exception):
    """The product refused something that the demo takes for right."""


class Client:
    """One API key's access. Use `connect`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def query(self, document: str, /, **variables: Any) -> dict[str, Any]:
        """The data of one operation. Raises: Refused for any error in the answer."""
        return await self._ask(document, variables, None)

    async def do(self, document: str, /, **variables: Any) -> dict[str, Any]:
        """The one result of a mutation, carried out once however often it has to be sent.

        Raises: Refused where it is a problem.
        """
        data = await self._ask(document, variables, {"idempotency-key": uuid4().hex})
        result: dict[str, Any] = next(iter(data.values()))
        if "code" in result:
            raise Refused(f"{result['code']}: {result['message']}")
        return result

    async def send(self, batch: list[dict[str, Any]]) -> None:
        """One bulk request of events. Raises: Refused."""
        body = orjson.dumps({"events": batch})
        status, answer = await self._request("POST", "/v1/events/bulk", body)
        if status != 202:
            raise Refused(f"{status}: {answer!r}")

    async def fetch(self, path: str) -> bytes:
        """The body of a download. Raises: Refused."""
        status, body = await self._request("GET", path)
        if status != 200:
            raise Refused(f"GET {path} answered {status}: {body[:200]!r}")
        return body

    async def _ask(
        self, document: str, variables: dict[str, Any], headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        body = orjson.dumps({"query": document, "variables": variables})
        status, text = await self._request("POST", "/graphql", body, headers=headers)
        answer = orjson.loads(text)
        if status != 200 or answer.get("errors"):
            raise Refused(f"{status}: {answer.get('errors', answer)}")
        data: dict[str, Any] = answer["data"]
        return data

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Asked again while the service is away: event ids and keys make that harmless.

        Raises: Refused when it stays away.
        """
        for _ in range(_ATTEMPTS):
            # It is being restarted: before it answered, or in the middle of its answer.
            with suppress(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                async with self._session.request(
                    method, self._url + path, data=body, headers=headers
                ) as response:
                    answer = await response.read()
                    if response.status not in _AGAIN:
                        return response.status, answer
            await asyncio.sleep(_PAUSE_SECONDS)
        raise Refused(f"{method} {path}: the service stayed away")


@asynccontextmanager
async def connect(url: str, key: str) -> AsyncIterator[Client]:
    headers = {"x-api-key": key, "content-type": "application/json"}
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(
        headers=headers, timeout=_DEADLINE, connector=connector
    ) as session:
        yield Client(session, url)


def batches(events: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(events)
    while batch := list(islice(iterator, BATCH)):
        yield batch
