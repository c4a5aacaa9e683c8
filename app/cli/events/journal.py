"""How much of a file has been accepted, kept beside it until all of it has."""

from pathlib import Path

import msgspec
from msgspec import Struct

from app.cli.events.files import FileError


class _State(Struct):
    """`size` and `modified_ns` say which file it was; another one is started anew."""

    size: int
    modified_ns: int
    rows: int


class Journal:
    """`rows`: all of the file's first rows up to there are accepted."""

    def __init__(self, path: Path, state: _State) -> None:
        self._path, self._state = path, state
        self._waiting: dict[int, int] = {}
        self._next = 0

    @classmethod
    def of(cls, file: Path) -> "Journal":
        """What is known of the file. Raises: FileError (it cannot be read)."""
        try:
            found = file.stat()
        except OSError as error:
            raise FileError(f"{file}: {error.strerror}") from error
        path = file.with_name(f".{file.name}.loaded")
        fresh = _State(found.st_size, found.st_mtime_ns, 0)
        try:
            known = msgspec.json.decode(path.read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            return cls(path, fresh)
        same = (known.size, known.modified_ns) == (fresh.size, fresh.modified_ns)
        return cls(path, known if same else fresh)

    @property
    def rows(self) -> int:
        return self._state.rows

    def accepted(self, index: int, rows: int) -> None:
        """The batch `index` of this run, which ends at `rows`, is accepted."""
        self._waiting[index] = rows
        before = self._state.rows
        while self._next in self._waiting:
            self._state.rows = self._waiting.pop(self._next)
            self._next += 1
        if self._state.rows != before:
            written = self._path.with_name(self._path.name + ".new")
            written.write_bytes(msgspec.json.encode(self._state))
            written.replace(self._path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
