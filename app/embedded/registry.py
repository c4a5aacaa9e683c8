"""Which stacks this user runs, so that a command finds the one that it is meant for.

A note per data directory, in the user's state folder. A note whose stack no longer runs, after
a `kill -9` for instance, is passed over and removed. Where the folder cannot be written nothing
is noted, and commands need `--data-dir`.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.embedded import leftovers
from app.embedded.directory import of_another
from app.embedded.errors import DamagedState

_FOLDER = Path("~/.local/state/tariff/running")


@contextmanager
def noted(data_dir: Path) -> Iterator[None]:
    """Tell other commands of the stack on `data_dir` for as long as the block lasts."""
    note = _note(data_dir)
    with suppress(OSError, RuntimeError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{data_dir.resolve()}\n")
    try:
        yield
    finally:
        with suppress(OSError, RuntimeError):
            note.unlink(missing_ok=True)


def running() -> list[Path]:
    """The data directories of the stacks that run now."""
    found = []
    with suppress(OSError, RuntimeError):
        for note in sorted(_FOLDER.expanduser().iterdir()):
            data_dir = Path(note.read_text().strip())
            if _runs(data_dir):
                found.append(data_dir)
            else:
                note.unlink(missing_ok=True)
    return found


def _runs(data_dir: Path) -> bool:
    try:
        return data_dir.is_dir() and leftovers.runs(of_another(data_dir))
    except DamagedState:
        return False


def _note(data_dir: Path) -> Path:
    name = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]
    return _FOLDER.expanduser() / name
