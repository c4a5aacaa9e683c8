"""Processes with their topics, and a key for their API."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

from app.config import Settings
from app.infra.kafka import ensure_topics
from app.infra.postgres import system
from app.kernel.scope import Scope
from tests.processes import Processes


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code and what it said."""

    code: int
    stdout: str
    stderr: str


class Tariff:
    """Runs commands of the program as processes, over the session's servers."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    async def __call__(
        self, *arguments: str, environ: dict[str, str] | None = None, stdin: str = ""
    ) -> Ran:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", *arguments),
            env=self._processes.environ() | (environ or {}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin.encode())
        return Ran(process.returncode or 0, out.decode(), err.decode())


@dataclass(frozen=True)
class Key:
    text: str
    scope: Scope

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.text}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def topics(settings: Settings) -> Settings:
    """The session's settings, its topics made."""
    await ensure_topics(settings)
    return settings


@pytest_asyncio.fixture
async def tariff(processes: Processes) -> Tariff:
    return Tariff(processes)


@pytest_asyncio.fixture
async def key(tariff: Tariff, database: Settings) -> AsyncIterator[Key]:
    """An API key of a tenant of its own, made on the command line."""
    made = await tariff("keys", "create", "--tenant", "Modes", "--environment", "Sandbox")
    assert made.code == 0, made.stderr
    text = made.stdout.splitlines()[-1]
    async with system() as connection:
        row = await connection.fetchrow(
            "SELECT tenant_id, environment_id FROM api_keys WHERE $1 LIKE prefix || '%'", text
        )
    yield Key(text, Scope(row["tenant_id"], row["environment_id"]))
