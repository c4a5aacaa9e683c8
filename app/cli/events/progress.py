"""How far a file is, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.cli.events.loading import Shown


@contextmanager
def progress(file: Path) -> Iterator[Shown]:
    """A bar by the bytes of the file, with the number of events accepted; none without a
    terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[accepted]} events"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    total = max(1, file.stat().st_size)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(file.name, total=total, accepted=0)
        reached, count = 0, 0

        def shown(accepted: int, position: int) -> None:
            nonlocal reached, count
            reached, count = max(reached, position), count + accepted
            bar.update(task, completed=reached, accepted=count)

        yield shown
