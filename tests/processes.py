"""Our own modes as processes of their own, as production runs them."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from app.config import Settings
from app.embedded.environment import of_a_service

_READY_SECONDS = 120.0
_STOP_SECONDS = 15.0
# Outside local mode the development secrets are refused.
_SECRETS = {
    "TARIFF_AUTH_JWT_SECRET": "a secret of the tests, 32 characters",
    "TARIFF_SECRETS_ENCRYPTION_KEY": "another secret of the tests, as long",
}


@dataclass
class Mode:
    """A running mode. `url` is its HTTP address, where /ready, /health and /metrics answer."""

    name: str
    url: str
    log: Path
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Return when /ready answers 200; fail with the log when it does not in time."""
        try:
            async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
                while not await self._ready(session):
                    assert self.process.returncode is None, self._failure("ended")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(self._failure(f"not ready in {seconds:g} s")) from None

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM, and wait for the orderly end; the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(_STOP_SECONDS):
            return await self.process.wait()

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}:\n{self.log.read_text()[-4000:]}"


class Processes:
    """Starts modes over the session's servers, with their logs under `directory`."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings, self._directory = settings, directory
        self._modes: list[Mode] = []

    async def start_mode(
        self,
        name: str,
        *,
        port: int | None = None,
        environ: dict[str, str] | None = None,
        ready: bool = True,
    ) -> Mode:
        """Start a mode on `port` (default: a free one) and, unless told not to, wait for it.

        `environ` adds to the environment, such as {"TARIFF_CRASH_AT": "…"}.
        """
        port = port or free_port()
        log = self._directory / f"{name}-{port}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app", name, "--port", str(port)),
                env=self.environ() | (environ or {}),
                cwd=Path(__file__).parent.parent,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        mode = Mode(name, f"http://127.0.0.1:{port}", log, process)
        self._modes.append(mode)
        if ready:
            await mode.wait_ready()
        return mode

    def environ(self) -> dict[str, str]:
        """The environment of a process that works with the session's settings."""
        return of_a_service(self._settings) | {"TARIFF_CONFIG": os.devnull} | _SECRETS

    async def close(self) -> None:
        """Kill what still runs."""
        for mode in self._modes:
            await mode.kill()


async def nothing_left(settings: Settings) -> None:
    """Take away what other tests have left to do or to tell, which services would do and tell."""
    owner = await asyncpg.connect(settings.postgres.owner_url or settings.postgres.url)
    try:
        await owner.execute("TRUNCATE due_items, outbox")
    finally:
        await owner.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def data_directory() -> Iterator[Path]:
    """A temporary directory that PostgreSQL's user may enter; pytest's own are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="tariff-tests-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
