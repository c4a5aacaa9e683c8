"""What runs, in what order, and the settings by which the rest of the program finds it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from app.config import Settings
from app.embedded import leftovers
from app.embedded.directory import Directory, held, of_another
from app.embedded.environment import changed, of_a_service
from app.embedded.located import located, with_api
from app.embedded.readiness import http_status
from app.embedded.registry import noted
from app.embedded.servers import clickhouse, kafka, postgres, s3, temporal
from app.embedded.supervised import Program, Progress, Supervised

_TRIM_SECONDS = 30.0
# Beyond what a service gives itself to finish, before it is killed.
_GRACE_SECONDS = 2.0
_SERVICE_READY_SECONDS = 60.0


class Stack:
    """The servers that were started, and the services that were added. All are kept running."""

    def __init__(self, settings: Settings, directory: Directory, progress: Progress) -> None:
        self.configured = settings
        self.directory = directory
        self.settings = located(settings, directory)
        self._progress = progress
        self._servers: dict[str, Supervised] = {}
        self._services: dict[str, Supervised] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> dict[str, int]:
        """The process id of every server and service that runs."""
        everything = self._servers | self._services
        return {name: one.pid for name, one in everything.items() if one.pid is not None}

    def variables(self) -> dict[str, str]:
        """The TARIFF_* variables by which another process finds what was started."""
        return changed(self.configured, self.settings)

    def environ(self) -> dict[str, str]:
        """The environment for a process of this program that is to see the same settings."""
        return of_a_service(self.settings)

    async def run_service(
        self,
        name: str,
        argv: Sequence[str],
        *,
        ready_url: str,
        settings: Settings | None = None,
    ) -> None:
        """Start a process of ours and keep it running. Ready when `ready_url` answers 200.

        It sees `settings` (the stack's own when not given), and is stopped before the servers.
        Raises: ServerFailed.
        """
        where = urlsplit(ready_url)

        async def ready() -> bool:
            return await http_status(where.port or 80, where.path) == 200

        program = Program(
            name=name,
            argv=argv,
            ready=ready,
            environ=of_a_service(settings or self.settings),
            ready_seconds=_SERVICE_READY_SECONDS,
            stop_seconds=self.settings.deployment.shutdown_seconds + _GRACE_SECONDS,
            cwd=Path.cwd(),  # where config.yaml is looked for
        )
        await self._start(program, self._services)

    async def start_servers(self) -> None:
        """Start what is not configured to be elsewhere. Raises: StackError, with nothing left."""
        self._tasks.append(asyncio.create_task(self._trim_logs()))
        try:
            async with asyncio.TaskGroup() as group:
                for chain in self._chains():
                    group.create_task(self._start_in_turn(chain))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def stop(self) -> None:
        """Stop the services, then the servers, those that others need last."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _stop_all(list(self._services.values()))
        last = [self._servers.pop("s3")] if "s3" in self._servers else []
        await _stop_all(list(self._servers.values()))
        await _stop_all(last)

    def _chains(self) -> list[list[Program]]:
        """The servers to start: each list in turn, the lists at the same time."""
        given, chains = self.configured, []
        if not given.postgres.url:
            chains.append([postgres.program(self.directory)])
        if not given.clickhouse.url:
            chains.append([clickhouse.program(self.directory)])
        if not given.temporal.address:
            namespace = given.temporal.namespace
            chains.append([temporal.program(self.directory, namespace=namespace)])
        storage: list[Program] = []
        if not given.s3.endpoint_url or not given.kafka.brokers:
            storage.append(s3.program(self.directory))
        if not given.kafka.brokers:
            storage.append(kafka.program(self.directory))
        return [*chains, storage]

    async def _start_in_turn(self, programs: Sequence[Program]) -> None:
        for program in programs:
            await self._start(program, self._servers)

    async def _start(self, program: Program, among: dict[str, Supervised]) -> None:
        among[program.name] = one = Supervised(program, self.directory, self._progress)
        await one.start()
        self._tasks.append(asyncio.create_task(one.watch()))

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            with suppress(OSError):
                await asyncio.to_thread(self.directory.trim_logs)


@asynccontextmanager
async def running_stack(
    settings: Settings, data_dir: Path, *, on_progress: Progress | None = None
) -> AsyncIterator[Stack]:
    """The servers that `settings` do not configure to be elsewhere, for as long as the block lasts.

    They are ready when it begins and have ended when it ends; one that dies in between is
    started again. `on_progress` is told of each server (see `Progress`).
    Raises: StackError, and InUse while another process runs a stack on `data_dir`.
    """
    with held(data_dir) as directory, noted(data_dir):
        await leftovers.clear(directory)
        directory.record_api(None)  # that of the run before
        stack = Stack(settings, directory, on_progress or _silently)
        try:
            await stack.start_servers()
            yield stack
        finally:
            await stack.stop()


def beside(settings: Settings, data_dir: Path) -> Settings:
    """`settings` with the addresses of the stack that another process runs on `data_dir`.

    Its API too, whatever port it was started with.

    For commands used next to `tariff local`. Unchanged where nothing runs there.
    Raises: DamagedState.
    """
    directory = of_another(data_dir)
    if not leftovers.runs(directory):
        return settings
    return with_api(located(settings, directory), directory.api)


async def _stop_all(running: Sequence[Supervised]) -> None:
    outcomes = await asyncio.gather(*(one.stop() for one in running), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _silently(name: str, what: str) -> None:
    pass
