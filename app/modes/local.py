"""`tariff local`: every server and every mode on this machine, in one go.

Each mode is a process of its own, as in production, over the servers of app/embedded. A process
that dies is started again. On Ctrl-C the modes finish what they have in hand, then the servers
stop; the next start finds the data again.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console
from rich.table import Table

from app.config import Settings
from app.embedded.directory import ApiAddress
from app.embedded.errors import StackError
from app.embedded.located import api_url, with_api
from app.embedded.stack import Stack, running_stack
from app.embedded.supervised import Progress
from app.infra.kafka import ensure_topics
from app.infra.migrations import migrate
from app.modes.serving import signalled

log = structlog.get_logger(__name__)

DATA_DIR: Final = Path(".tariff")
# Behind the API: they serve /ready and /metrics only, on ports of their own.
_WORKERS: Final = ("consumer", "temporal_worker")
# What the servers may take to stop, after the services.
_SERVERS_STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Local:
    """A running local stack. `settings` find every part of it; `urls` name what a person opens."""

    stack: Stack
    settings: Settings
    urls: Mapping[str, str]


async def run(
    settings: Settings, *, data_dir: Path | None = None, servers_only: bool = False
) -> None:
    """Run everything until SIGINT or SIGTERM, with the data under `data_dir` (./.tariff).

    `servers_only` leaves out the modes, and prints the variables by which to run them.
    Raises: StackError, InUse, and what migrating raises.
    """
    at_most = settings.deployment.shutdown_seconds + _SERVERS_STOP_SECONDS
    with signalled(settings, at_most=at_most) as stop:
        serving = asyncio.create_task(
            _serve(settings, data_dir or DATA_DIR, servers_only=servers_only)
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        # Even in the middle of starting: each part undoes what it has done.
        serving.cancel()
        stopping.cancel()
        outcome, _ = await asyncio.gather(serving, stopping, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


@asynccontextmanager
async def local_stack(
    settings: Settings,
    data_dir: Path,
    *,
    services: bool = True,
    on_progress: Progress | None = None,
) -> AsyncIterator[Local]:
    """The servers, migrated, and unless `services` is off the three modes, all ready.

    `on_progress` is told of each part: its name, and "starting", "ready", "restarting" or
    "stopped". Raises: StackError, InUse, and what migrating raises.
    """
    tell = on_progress or _silently
    if services:
        _require_free(settings)
    async with running_stack(settings, data_dir, on_progress=tell) as stack:
        tell("migrations", "starting")
        await migrate(stack.settings)
        await ensure_topics(stack.settings)
        tell("migrations", "ready")
        address = _address(stack)
        complete = with_api(stack.settings, address)
        if services:
            stack.directory.record_api(address)  # for commands beside it
            await _start_services(stack, complete)
        yield Local(stack, complete, _urls(complete))


async def _serve(settings: Settings, data_dir: Path, *, servers_only: bool) -> None:
    console = Console(stderr=True)
    async with local_stack(
        settings, data_dir, services=not servers_only, on_progress=_shown_on(console)
    ) as local:
        if servers_only:
            _print_exports(local)
        else:
            _print_overview(console, local)
        await asyncio.Event().wait()


async def _start_services(stack: Stack, settings: Settings) -> None:
    ports = {name: stack.directory.port(name) for name in _WORKERS}
    everything = {"api": settings.server.port} | ports
    try:
        async with asyncio.TaskGroup() as group:
            for name, port in everything.items():
                group.create_task(
                    stack.run_service(
                        name,
                        (sys.executable, "-m", "app", name, "--port", str(port)),
                        ready_url=f"http://127.0.0.1:{port}/ready",
                        settings=settings,
                    )
                )
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _address(stack: Stack) -> ApiAddress:
    """Where the API is to listen: port 0 becomes a port."""
    server = stack.settings.server
    return ApiAddress(server.host, server.port or stack.directory.port("api"))


def _urls(settings: Settings) -> dict[str, str]:
    base = api_url(settings.server)
    urls = {"GraphQL": f"{base}/graphql", "Events": f"{base}/v1/events"}
    if settings.temporal.ui_url:
        urls["Temporal"] = settings.temporal.ui_url
    return urls


def _require_free(settings: Settings) -> None:
    """Say at once, before anything starts, when the API's port is taken. Raises: StackError."""
    server = settings.server
    with socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((server.host, server.port))
        except OSError as error:
            raise StackError(
                f"the API cannot listen on {server.host} port {server.port} ({error.strerror}): "
                "choose another port with --port"
            ) from None


def _shown_on(console: Console) -> Progress:
    marks = {"ready": "[green]✓[/]", "restarting": "[yellow]↻[/]"}

    def show(name: str, what: str) -> None:
        if what in marks:
            console.print(f"  {marks[what]} {name} {what}", highlight=False)

    return show


def _print_overview(console: Console, local: Local) -> None:
    table = Table.grid(padding=(0, 2))
    for name, url in local.urls.items():
        table.add_row(f"[bold]{name}[/]", url)
    table.add_row("[bold]Data[/]", str(local.stack.directory.path))
    table.add_row("[bold]Logs[/]", str(local.stack.directory.path / "logs"))
    console.print("\nTariff is running. Ctrl-C stops it.\n")
    console.print(table)
    console.print(
        "\nAn API key, from another terminal: [bold]tariff keys create --tenant Acme[/]\n",
        highlight=False,
    )


def _print_exports(local: Local) -> None:
    for name, value in sorted(local.stack.variables().items()):
        sys.stdout.write(f"export {name}='{value}'\n")
    sys.stdout.flush()


def _silently(name: str, what: str) -> None:
    pass
