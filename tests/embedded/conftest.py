"""One embedded stack, and one ClickHouse interface, for the tests of this folder."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest_asyncio

from app.config import Settings
from app.embedded.environment import of_a_python_server
from app.embedded.readiness import http_status
from app.embedded.stack import Stack, running_stack
from tests.processes import data_directory, free_port

PASSWORD = "p'ss\\word"


@dataclass
class Interface:
    """A running `python -m app.embedded.clickhouse`."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=10)


async def start_interface(data_dir: Path, *, password: str = PASSWORD) -> Interface:
    port = free_port()
    process = subprocess.Popen(  # noqa: ASYNC220 - waited for below
        clickhouse_command("--data-dir", str(data_dir), "--port", str(port)),
        env=of_a_python_server(CLICKHOUSE_PASSWORD=password),
    )
    async with asyncio.timeout(20):
        while await http_status(port, "/ping") != 200:
            assert process.poll() is None, "it ended instead of starting"
            await asyncio.sleep(0.05)
    return Interface(data_dir, port, process)


def clickhouse_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app.embedded.clickhouse", *arguments]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def interface(tmp_path_factory) -> AsyncIterator[Interface]:
    started = await start_interface(tmp_path_factory.mktemp("clickhouse"))
    yield started
    started.kill()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Answers as they came: neither decompressed nor retried."""
    headers = {"X-ClickHouse-Key": PASSWORD}
    async with aiohttp.ClientSession(headers=headers, auto_decompress=False) as session:
        yield session


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Every server, embedded. Tests may kill them: they come back."""
    with data_directory() as directory:
        async with running_stack(Settings(), directory) as running:
            yield running
