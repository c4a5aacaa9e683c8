"""Sends batches, and sends them again for as long as the server is away."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from msgspec import Struct

from app.cli.events.files import Batch

# In place of a status: no server answered.
_NO_ANSWER = 0
# What asks to come back later.
_LATER = frozenset({_NO_ANSWER, 429, 502, 503, 504})
_GIVE_UP_SECONDS = 300.0
_MOST_BETWEEN_SECONDS = 30.0
_BETWEEN_NOTICES_SECONDS = 10.0
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
        self._server = url.rstrip("/")
        self._quiet_until = 0.0  # on the loop's clock; all batches share the notices
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
            status, answer, wait = await self._tried(batch.body())
            if status == 202:
                return answer.rejected
            if status == 400 and self._partial and answer.errors:
                return answer.errors  # not one event of the batch is right
            if status not in _LATER:
                raise SendingFailed(self._said(batch, status, answer))
            wait = max(wait, min(_MOST_BETWEEN_SECONDS, 0.25 * 2.0**attempt) * _jitter())
            if loop.time() + wait > give_up:
                raise SendingFailed(self._said(batch, status, answer))
            if status == _NO_ANSWER:
                self._tell_waiting(answer.message, loop.time())
            await asyncio.sleep(wait)

    async def _tried(self, body: bytes) -> tuple[int, _Answer, float]:
        """The answer to one request, or `_NO_ANSWER` and why there is none."""
        try:
            return await self._post(body)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise SendingFailed(
                f"{self._server} is no address of an API: expected http://HOST:PORT"
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _NO_ANSWER, _Answer(message=_reason(error)), 0.0

    async def _post(self, body: bytes) -> tuple[int, _Answer, float]:
        url = f"{self._server}/v1/events/bulk"
        async with self._session.post(url, data=body, params=self._params) as response:
            text = await response.read()
            after = response.headers.get("retry-after", "")
            try:
                answer = msgspec.json.decode(text, type=_Answer)
            except msgspec.DecodeError:
                answer = _Answer(message=text[:200].decode(errors="replace"))
            return response.status, answer, float(after) if after.isdecimal() else 0.0

    def _tell_waiting(self, reason: str, now: float) -> None:
        if now < self._quiet_until:
            return
        self._quiet_until = now + _BETWEEN_NOTICES_SECONDS
        sys.stderr.write(f"no server answers at {self._server} ({reason}); trying again\n")

    def _said(self, batch: Batch, status: int, answer: _Answer) -> str:
        if answer.errors:
            first = answer.errors[0]
            return f"line {batch.lines[first.index]}: {first.message} ({first.code})"
        lines = f"lines {batch.lines[0]} to {batch.lines[-1]}"
        if status == _NO_ANSWER:
            return f"{lines}: no server answers at {self._server}: {answer.message}"
        return f"{lines}: the server answered {status} {answer.code}: {answer.message}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    # Of failed connections only the number is plain; numbers below 0 are the resolver's.
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _jitter() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
