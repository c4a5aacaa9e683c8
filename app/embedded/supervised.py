"""One process under supervision: started, found ready, started again when it dies, stopped."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from app.embedded.directory import Directory, Recorded
from app.embedded.errors import ServerFailed

log = structlog.get_logger(__name__)

_TETHER = Path(__file__).parent / "tether.py"
_POLL_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_SETTLED_SECONDS = 30.0  # who lives this long has recovered

# Told what became of a server: "starting", "ready", "restarting" or "stopped".
Progress = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `ready` looks once whether it serves; `prepare` runs before every start."""

    name: str
    argv: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    environ: Mapping[str, str] = field(repr=False)
    prepare: Callable[[], Awaitable[None]] | None = None
    ready_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 5.0
    user: tuple[int, int] | None = None  # uid and gid, where they are not ours
    cwd: Path | None = None


class Supervised:
    """A program that is kept running. `start` it, `watch` it in a task, `stop` it."""

    def __init__(self, program: Program, directory: Directory, progress: Progress) -> None:
        self.program = program
        self.restarts = 0
        self._directory, self._progress = directory, progress
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id, or None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it, and return once it is ready. Raises: ServerFailed, with nothing left."""
        self._progress(self.program.name, "starting")
        self._directory.turn_log(self.program.name)
        try:
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        self._progress(self.program.name, "ready")

    async def watch(self) -> None:
        """Start it again whenever it ends, until cancelled or stopped. Never raises."""
        failures = 0
        while not self._stopping:
            since = time.monotonic()
            status = await self._ended()
            if self._stopping:
                return
            failures = 0 if time.monotonic() - since > _SETTLED_SECONDS else failures + 1
            self.restarts += 1
            log.error(
                "process_died",
                name=self.program.name,
                status=status,
                restarts=self.restarts,
                log=str(self._directory.log(self.program.name)),
            )
            self._progress(self.program.name, "restarting")
            await asyncio.sleep(_pause_seconds(failures))
            await self._relaunch()

    async def stop(self) -> None:
        """End it, first politely, and return once it has ended."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            _signal(process, self.program.stop_signal)
            try:
                async with asyncio.timeout(self.program.stop_seconds):
                    await process.wait()
            except TimeoutError:
                log.warning("process_killed", name=self.program.name, reason="did not stop")
                _signal(process, signal.SIGKILL)
                await process.wait()
        self._directory.record(self.program.name, None)
        self._progress(self.program.name, "stopped")

    async def _relaunch(self) -> None:
        try:
            await self._launch()
        except ServerFailed as error:
            log.error("process_not_ready", name=self.program.name, reason=error.message)  # noqa: TRY400 - the message says it all
            if self._process is not None and self._process.returncode is None:
                _signal(self._process, signal.SIGKILL)
        except Exception:
            log.exception("process_not_started", name=self.program.name)
        else:
            log.info("process_restarted", name=self.program.name, restarts=self.restarts)
            self._progress(self.program.name, "ready")

    async def _launch(self) -> None:
        program = self.program
        if program.prepare is not None:
            await _to_the_end(program.prepare())
        uid, gid = program.user or (-1, -1)
        tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid())]
        with self._directory.log(program.name).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(*tether, str(int(program.stop_signal)), str(uid), str(gid), *program.argv),
                env=dict(program.environ),
                cwd=program.cwd or self._directory.path,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we stop the others in order
            )
        self._process = process
        self._directory.record(program.name, _recorded(process.pid, program))
        await self._become_ready(process)

    async def _become_ready(self, process: asyncio.subprocess.Process) -> None:
        program, output = self.program, self._directory.log(self.program.name)
        try:
            async with asyncio.timeout(program.ready_seconds):
                while not await program.ready():
                    if process.returncode is not None:
                        what = f"ended with status {process.returncode} instead of starting"
                        raise ServerFailed(program.name, what, output)
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            what = f"was not ready within {program.ready_seconds:g} s"
            raise ServerFailed(program.name, what, output) from None

    async def _ended(self) -> int:
        return await self._process.wait() if self._process is not None else -1


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await `work`, and when cancelled only after it is done: it may be on a thread."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _recorded(pid: int, program: Program) -> Recorded | None:
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
    return Recorded(pid, program.argv[0], started, int(program.stop_signal))


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _pause_seconds(failures: int) -> float:
    exponent = min(max(failures - 1, 0), 10)
    return float(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**exponent))
