"""Sends batches, and sends them again for as long as the server is away."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from msgspec import Struct

from app.cli.events.files import Batch

# Answers that ask to come back later.
_LATER = frozenset({429, 502, 503, 504})
_GIVE_UP_SECONDS = 300.0
_MOST_BETWEEN_SECONDS = 30.0
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)


class SendingFailed(Exception):
    """A batch was refused, or could not be delivered. Nothing of it was accepted, or that is
    not known; sending it again is harmless either way."""


class Fault(Struct):
    index: int
    code: str
    message: str
    field: str | None = None


class _Answer(Struct):
    message: str = ""
    code: str = ""
    rejected: list[Fault] = []
    errors: list[Fault] = []


class Sender:
    """A connection to the ingest API of one environment."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, partial: bool) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/v1/events/bulk"
        self._params = {"partial": "true"} if partial else {}
        self._partial = partial

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str, *, partial: bool) -> "AsyncIterator[Sender]":
        headers = {"x-api-key": key, "content-type": "application/json"}
        async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as session:
            yield cls(session, url, partial=partial)

    async def send(self, batch: Batch) -> list[Fault]:
        """Returns once the batch is accepted; the faults are of the events that were not.

        Raises: SendingFailed.
        """
        loop = asyncio.get_running_loop()
        give_up, attempt = loop.time() + _GIVE_UP_SECONDS, 0
        while True:
            attempt += 1
            try:
                status, answer, wait = await self._post(batch.body())
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                status, answer, wait = 503, _Answer(message=str(error) or "no answer"), 0.0
            if status == 202:
                return answer.rejected
            if status == 400 and self._partial and answer.errors:
                return answer.errors  # not one event of the batch is right
            if status not in _LATER:
                raise SendingFailed(_said(batch, status, answer))
            wait = max(wait, min(_MOST_BETWEEN_SECONDS, 0.25 * 2.0**attempt) * _jitter())
            if loop.time() + wait > give_up:
                raise SendingFailed(_said(batch, status, answer))
            await asyncio.sleep(wait)

    async def _post(self, body: bytes) -> tuple[int, _Answer, float]:
        async with self._session.post(self._url, data=body, params=self._params) as response:
            text = await response.read()
            after = response.headers.get("retry-after", "")
            try:
                answer = msgspec.json.decode(text, type=_Answer)
            except msgspec.DecodeError:
                answer = _Answer(message=text[:200].decode(errors="replace"))
            return response.status, answer, float(after) if after.isdecimal() else 0.0


def _said(batch: Batch, status: int, answer: _Answer) -> str:
    if answer.errors:
        first = answer.errors[0]
        return f"line {batch.lines[first.index]}: {first.message} ({first.code})"
    lines = f"lines {batch.lines[0]} to {batch.lines[-1]}"
    return f"{lines}: the server answered {status} {answer.code}: {answer.message}"


def _jitter() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
