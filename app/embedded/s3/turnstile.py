"""Keeps the broker's logs in order, one batch at a time.

The broker writes a batch in two steps: it raises the partition's watermark, and then stores the
batch at the offset it took. With two producers the later batch can be stored first, and a
consumer that reads just then steps over the earlier one for ever. So the watermark of a
partition is not raised again until the batch that was announced before is stored.

A broker killed between the steps leaves a watermark ahead of the log. Nothing was acknowledged,
so `settle` takes it back before the next broker starts.
"""

import asyncio
import json
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_WATERMARK = "watermark.json"
_RECORDS = "records"
_BATCH = re.compile(r"\d{20}\.batch")
# The head of a record batch as far as the two fields read here: the length of what follows that
# field, and the offset of the last record less the first's.
# https://kafka.apache.org/documentation/#recordbatch
_HEADER = struct.Struct(">8xi4xx4x2xi")
_BEFORE_LENGTH_ENDS = 12


class Turnstile:
    """Admits the watermarks of each partition. `last_batch` finds the last file of a folder."""

    def __init__(
        self, last_batch: Callable[[Path], Path | None], *, patience_seconds: float = 5.0
    ) -> None:
        self._last_batch, self._patience_seconds = last_batch, patience_seconds
        self._passed: dict[Path, asyncio.Event] = {}
        self._written_off: dict[Path, int] = {}  # watermarks whose batch never came

    async def admit(self, path: Path, staged: Path) -> None:
        """Return when the object staged for `path` may be stored: at once, but for a watermark
        that takes offsets before the last taken ones are used; then after `patience` at most."""
        if path.name != _WATERMARK:
            return
        try:
            async with asyncio.timeout(self._patience_seconds):
                while not self._clear(path, _high(staged)):
                    await self._passed.setdefault(path.parent, asyncio.Event()).wait()
        except TimeoutError:
            self._written_off[path.parent] = _high(path)

    def passed(self, path: Path) -> None:
        """An object has been stored at `path`: wake who waits for it."""
        if _BATCH.fullmatch(path.name) and path.parent.name == _RECORDS:
            event = self._passed.pop(path.parent.parent, None)
            if event is not None:
                event.set()

    def _clear(self, path: Path, wanted: int) -> bool:
        taken = _high(path)
        if wanted <= taken or self._written_off.get(path.parent, 0) >= taken:
            return True
        last = self._last_batch(path.parent / _RECORDS)
        return max(_end(last), _low(path)) >= taken


def settle(bucket: Path) -> int:
    """Take back the watermarks that are ahead of their logs; how many there were.

    Only while no broker runs on `bucket`.
    """
    settled = 0
    for path in bucket.rglob(_WATERMARK):
        records = path.parent / _RECORDS
        last = max(records.glob("*.batch"), default=None) if records.is_dir() else None
        end = max(_end(last), _low(path))
        if _high(path) > end:
            watermark = _read(path)
            watermark["high"] = end
            replacement = path.with_name(f".{_WATERMARK}")
            replacement.write_text(json.dumps(watermark))
            replacement.replace(path)
            settled += 1
    return settled


def _end(batch: Path | None) -> int:
    """The offset after the last record of a stored batch; 0 where there is none."""
    if batch is None:
        return 0
    return int(batch.stem) + sum(delta + 1 for delta in _last_deltas(batch))


def _last_deltas(stored: Path) -> Iterator[int]:
    at = 0
    with stored.open("rb") as opened:
        while len(header := opened.read(_HEADER.size)) == _HEADER.size:
            length, last_delta = _HEADER.unpack(header)
            yield last_delta
            at += _BEFORE_LENGTH_ENDS + length
            opened.seek(at)


def _high(path: Path) -> int:
    return int(_read(path).get("high") or 0)


def _low(path: Path) -> int:
    return int(_read(path).get("low") or 0)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
