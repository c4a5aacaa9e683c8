"""The command itself: starts the stack, plays the demo, shows the outcome, keeps serving."""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from app.cli import keys
from app.cli.demo import flights, inference, report
from app.cli.demo.client import Client, Refused, connect
from app.cli.demo.play import Moved, Outcome, pdf_link, play
from app.cli.demo.scenario import Scenario
from app.config import Settings, load
from app.infra.postgres import postgres
from app.kernel.clock import SystemClock
from app.modes.local import Local, local_stack
from app.modes.serving import signalled

_SERVERS_STOP_SECONDS = 20.0
_PARTS = 9  # five servers, their migrations, three services


def run(arguments: argparse.Namespace) -> int:
    """0: every invoice equals the recomputation. 1: one does not, or the demo did not finish."""
    console = Console()
    overrides = {} if arguments.port is None else {("server", "port"): arguments.port}
    settings = load(path=arguments.config, mode="local", overrides=overrides)
    try:
        scenario = inference.scenario(arguments.trace) if arguments.trace else flights.scenario()
        with _directory(arguments.data_dir) as data_dir:
            demo = _Demo(console, scenario, serve_on=not arguments.exit)
            return asyncio.run(demo.run(settings, data_dir))
    except (Refused, inference.BadTrace) as error:
        console.print(f"tariff demo: {error}", style="red", markup=False)
        return 1


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    """The directory asked for, which is kept; else a new one, which goes when the demo ends."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tariff-demo-", ignore_cleanup_errors=True) as made:
        # Under root PostgreSQL runs as a user of its own, who has to reach its folder.
        Path(made).chmod(0o755)
        yield Path(made)


class _Demo:
    def __init__(self, console: Console, scenario: Scenario, *, serve_on: bool) -> None:
        self._console, self._scenario, self._serve_on = console, scenario, serve_on

    async def run(self, settings: Settings, data_dir: Path) -> int:
        """Until it is over, or interrupted; the exit code."""
        at_most = settings.deployment.shutdown_seconds + _SERVERS_STOP_SECONDS
        with signalled(settings, at_most=at_most) as stop:
            playing = asyncio.create_task(self._play(settings, data_dir, stop))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not self._outcome:
                playing.cancel()  # interrupted half way; the stack undoes what it has done
            with suppress(asyncio.CancelledError):
                await playing
        return 0 if self._outcome and not self._outcome.differences else 1

    _outcome: Outcome | None = None

    async def _play(self, settings: Settings, data_dir: Path, stop: asyncio.Event) -> None:
        self._console.print(f"[bold]{self._scenario.seller}[/]: {self._scenario.note}")
        with report.progress(self._console) as bars:
            moved = _on(bars)
            async with local_stack(settings, data_dir, on_progress=_starting(moved)) as local:
                self._outcome = await self._bill(local, bars, moved)
                if self._serve_on:
                    self._console.print("Serving until interrupted (Ctrl-C).")
                    await stop.wait()

    async def _bill(self, local: Local, bars: Progress, moved: Moved) -> Outcome:
        key = await _key(local.settings, self._scenario)
        async with connect(local.settings.server.public_url, key) as client:
            outcome = await play(client, self._scenario, moved)
            bars.stop()
            report.tables(self._console, self._scenario, outcome.usage, outcome.invoices)
            report.verdict(self._console, len(outcome.invoices), outcome.differences)
            await self._places(client, local, outcome, key)
        return outcome

    async def _places(self, client: Client, local: Local, outcome: Outcome, key: str) -> None:
        places = dict(local.urls) | {"GraphiQL": f"{local.urls['GraphQL']} in a browser"}
        if outcome.invoices:
            places["A PDF invoice"] = await pdf_link(client, outcome.invoices[0])
        places["API key"] = f"{key} (in x-api-key)"
        report.places(self._console, places)


async def _key(settings: Settings, scenario: Scenario) -> str:
    """An API key of the scenario's tenant, which gets its two environments with it."""
    async with postgres(settings.postgres):
        return await keys.create(SystemClock(), tenant=scenario.tenant, tell=lambda _: None)


def _on(bars: Progress) -> Moved:
    """Moves the bar of a stage, which appears when the stage begins."""
    tasks: dict[str, TaskID] = {}

    def moved(stage: str, done: int, of: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=of)
        bars.update(tasks[stage], completed=done, total=of)

    return moved


def _starting(moved: Moved) -> Callable[[str, str], None]:
    """Counts the parts of the stack that are ready."""
    ready: set[str] = set()

    def told(name: str, what: str) -> None:
        if what == "ready":
            ready.add(name)
            moved("Starting the stack", len(ready), _PARTS)

    return told
