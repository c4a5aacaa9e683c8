"""Events in files: newline-delimited JSON, or CSV with a mapping of its columns.

An event without an id gets one made of its place and content, so that the same file sent again
is recognised event by event.
"""

import csv
import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import orjson
from msgspec import Raw

FIELDS = (
    "event_id",
    "event_name",
    "external_customer_id",
    "customer_id",
    "timestamp",
    "source",
)
_PROPERTY = "properties."

_object = msgspec.json.Decoder(dict[str, Raw])


class FileError(Exception):
    """The file, or what was said about it, is wrong: names the line or the option."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are sent together. `rows` counts the file's rows up to its end.

    `lines` has the number of each event's line, counted from 1, and `position` is the byte of
    the file that reading has reached.
    """

    index: int
    events: Sequence[bytes]
    lines: Sequence[int]
    rows: int
    position: int

    def body(self) -> bytes:
        return b'{"events":[' + b",".join(self.events) + b"]}"


class Reader(Protocol):
    @abstractmethod
    def rows(self) -> Iterator[tuple[int, bytes, int]]:
        """Line number, event as JSON, and byte reached, for every row. Raises: FileError."""

    def batches(self, size: int, *, skip_rows: int = 0) -> Iterator[Batch]:
        """The rows after the first `skip_rows`, `size` at a time. Raises: FileError."""
        events: list[bytes] = []
        lines: list[int] = []
        index, count, position = 0, 0, 0
        for count, (line, event, position) in enumerate(self.rows(), 1):
            if count <= skip_rows:
                continue
            events.append(event)
            lines.append(line)
            if len(events) == size:
                yield Batch(index, events, lines, count, position)
                events, lines, index = [], [], index + 1
        if events:
            yield Batch(index, events, lines, count, position)


def reader_of(path: Path, *, columns: Sequence[str], constants: Sequence[str]) -> Reader:
    """The reader for a file, by its name: CSV for `.csv`, else newline-delimited JSON.

    `columns` are FIELD=COLUMN, `constants` FIELD=VALUE. Raises: FileError.
    """
    if path.suffix.lower() == ".csv":
        return CsvReader(path, _pairs(columns, "--map"), _pairs(constants, "--set"))
    if columns or constants:
        raise FileError(f"--map and --set are for .csv files, and this is {path.name}")
    return JsonReader(path)


class JsonReader(Reader):
    """One JSON object a line; blank lines are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> Iterator[tuple[int, bytes, int]]:
        position = 0
        try:
            with self._path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    position += len(line)
                    if text := line.strip():
                        yield number, self._event(number, text), position
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror}") from error

    def _event(self, number: int, text: bytes) -> bytes:
        try:
            fields = _object.decode(text)
        except msgspec.DecodeError as error:
            raise FileError(
                f"{self._path}, line {number}: expected one JSON object; {error}"
            ) from None
        if bytes(fields.get("event_id", b"null")) != b"null":
            return text
        fields["event_id"] = Raw(orjson.dumps(_made_id(number, text)))
        return msgspec.json.encode(fields)


class CsvReader(Reader):
    """A header, then one event a row. Columns that are no field are properties, as text."""

    def __init__(
        self, path: Path, columns: Mapping[str, str], constants: Mapping[str, str]
    ) -> None:
        self._path, self._columns, self._constants = path, columns, constants

    def rows(self) -> Iterator[tuple[int, bytes, int]]:
        position = 0

        def counted(lines: Iterator[str]) -> Iterator[str]:
            nonlocal position
            for line in lines:
                position += len(line)
                yield line

        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(counted(file), strict=True)
                targets = self._targets(reader.fieldnames or [])
                for row in reader:
                    if None in row or None in row.values():
                        raise FileError(
                            f"{self._path}, line {reader.line_num}: as many values are expected "
                            "as the header has names"
                        )
                    yield reader.line_num, self._event(reader.line_num, row, targets), position
        except OSError as error:
            raise FileError(f"{self._path}: {error.strerror}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(f"{self._path}: not CSV in UTF-8: {error}") from error

    def _targets(self, header: Sequence[str]) -> dict[str, str]:
        """Which part of the event each column is."""
        for field, column in self._columns.items():
            if column not in header:
                raise FileError(
                    f"--map {field}={column}: there is no such column; the header has "
                    f"{', '.join(header)}"
                )
        renamed = {column: field for field, column in self._columns.items()}
        taken = {*renamed.values(), *self._constants}
        targets = {}
        for column in header:
            target = renamed.get(column, column if column in FIELDS else _PROPERTY + column)
            if column in renamed or target not in taken:
                targets[column] = target
        return targets

    def _event(self, number: int, row: Mapping[str, str], targets: Mapping[str, str]) -> bytes:
        event: dict[str, Any] = {"properties": {}}
        values = [(targets[column], text) for column, text in row.items() if column in targets]
        for target, text in (*self._constants.items(), *values):
            if target.startswith(_PROPERTY):
                if text:
                    event["properties"][target.removeprefix(_PROPERTY)] = text
            elif text:
                event[target] = text
        if "event_id" not in event:
            event["event_id"] = _made_id(number, orjson.dumps(row))
        return orjson.dumps(event)


def _pairs(given: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        field, equals, value = text.partition("=")
        if not (equals and value) or not (field in FIELDS or field.startswith(_PROPERTY)):
            raise FileError(
                f"{option} {text}: expected FIELD=…, where FIELD is one of {', '.join(FIELDS)}, "
                "or properties.NAME"
            )
        pairs[field] = value
    return pairs


def _made_id(number: int, content: bytes) -> str:
    digest = hashlib.blake2b(b"%d:%b" % (number, content), digest_size=16)
    return f"file_{digest.hexdigest()}"
