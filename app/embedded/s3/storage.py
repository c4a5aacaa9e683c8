"""Objects as files, in nanio's layout, with nanio's gaps closed.

An object is its file, and beside it a sidecar with its etag and content type. Both are replaced
without an await in between, so requests see an object before or after a write, never amid it.
A crash between the two leaves a sidecar older than its file; it is then not believed, and the
etag is computed anew. One process owns the directory, which is what makes memory authoritative.
"""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nanio.errors import BadDigest, InvalidArgument, NoSuchKey
from nanio.keys import validate_object_key
from nanio.storage.backend import GetObjectResult, ListResult, ObjectInfo
from nanio.storage.filesystem import FilesystemStorage
from nanio.storage.metadata import _to_dict, read_metadata
from nanio.storage.paths import META_DIR_NAME, metadata_path, object_path

from app.embedded.s3.conditions import Condition, of_this_request
from app.embedded.s3.turnstile import Turnstile

_IN_MEMORY_BYTES = 4_194_304  # objects up to this size are read at once
_CHUNK_BYTES = 1_048_576
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AtomicStorage(FilesystemStorage):  # type: ignore[misc] # nanio is untyped
    """nanio's storage with conditional, atomic writes and an index of keys in memory."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self._root: Path = self.data_dir
        self._staging = self._root / ".nanio" / "staging"
        shutil.rmtree(self._staging, ignore_errors=True)  # writes that a crash cut short
        self._staging.mkdir(parents=True)
        self._keys: dict[str, list[str]] = {}
        self._infos: dict[tuple[str, str], ObjectInfo] = {}
        self._turnstile = Turnstile(self._last_batch)

    async def put_object(
        self, bucket: str, key: str, body: AsyncIterator[bytes], **options: Any
    ) -> ObjectInfo:
        """Store an object, whole or not at all, if the request's condition holds."""
        self._require_bucket_dir(bucket)
        validate_object_key(key)
        condition = of_this_request.get()
        self._check(condition, bucket, key)
        staged = self._staging / uuid.uuid4().hex
        try:
            size, digest = await _staged(body, staged)
            _check_digest(options.pop("expected_md5", None), digest)
            path = object_path(self._root, bucket, key)
            await self._turnstile.admit(path, staged)
            # From here to the end nothing awaits: no request sees half of it.
            self._check(condition, bucket, key)
            info = ObjectInfo(
                key=key,
                size=size,
                etag=f'"{digest.hex()}"',
                last_modified=datetime.now(UTC),
                **{k: v for k, v in options.items() if v is not None},
            )
            self._commit(bucket, info, staged, path)
        finally:
            staged.unlink(missing_ok=True)
        self._turnstile.passed(path)
        return info

    def head_object(self, bucket: str, key: str) -> ObjectInfo:
        """What is known of an object. Raises: NoSuchKey."""
        self._require_bucket_dir(bucket)
        validate_object_key(key)
        info = self._info(bucket, key)
        if info is None:
            raise NoSuchKey(resource=f"{bucket}/{key}")
        return info

    async def get_object(
        self, bucket: str, key: str, *, range_start: int | None = None, range_end: int | None = None
    ) -> GetObjectResult:
        info = self.head_object(bucket, key)
        # Opened at once: should the object be replaced now, this answer is still the old one.
        opened = object_path(self._root, bucket, key).open("rb")
        if range_start is None:
            return GetObjectResult(info=info, body=_chunks(opened, 0, info.size))
        end = min(info.size - 1, range_end if range_end is not None else info.size - 1)
        if not 0 <= range_start <= end:
            opened.close()
            raise InvalidArgument(f"bytes {range_start}-{range_end} of an object of {info.size}")
        body = _chunks(opened, range_start, end - range_start + 1)
        return GetObjectResult(info=info, body=body, range_start=range_start, range_end=end)

    def delete_object(self, bucket: str, key: str) -> None:
        super().delete_object(bucket, key)
        self._infos.pop((bucket, key), None)
        keys = self._keys_of(bucket)
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            del keys[at]

    def delete_bucket(self, bucket: str) -> None:
        super().delete_bucket(bucket)
        self._keys.pop(bucket, None)

    def list_objects(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        max_keys: int = 1000,
        continuation_token: str | None = None,
        start_after: str | None = None,
    ) -> ListResult:
        """One page of keys, in order; a token is the last key or common prefix before it."""
        self._require_bucket_dir(bucket)
        after = _key_of(continuation_token) if continuation_token else start_after or ""
        result = ListResult([], [], is_truncated=False, next_continuation_token=None)
        last = ""
        for name in _names(self._keys_of(bucket), prefix, delimiter or "", after):
            if len(result.contents) + len(result.common_prefixes) >= min(max_keys, 1000):
                result.is_truncated = max_keys > 0
                result.next_continuation_token = _token_of(last) if max_keys > 0 else None
                break
            last = name
            if delimiter and name.endswith(delimiter) and name != prefix:
                result.common_prefixes.append(name)
            elif (info := self._info(bucket, name)) is not None:
                result.contents.append(info)
        return result

    def forget(self, bucket: str) -> None:
        """Read the bucket's keys from the disk again: something else wrote to it."""
        self._keys.pop(bucket, None)

    def _check(self, condition: Condition, bucket: str, key: str) -> None:
        if condition != Condition():
            info = self._info(bucket, key)
            condition.check(info.etag if info else None, key)

    def _commit(self, bucket: str, info: ObjectInfo, staged: Path, path: Path) -> None:
        sidecar = metadata_path(self._root, bucket, info.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        # The file's time is the sidecar's: a file younger than its sidecar tells of a crash.
        instant = _nanoseconds(info.last_modified)
        os.utime(staged, ns=(instant, instant))
        os.replace(staged, path)
        described = staged.with_suffix(".json")
        described.write_text(json.dumps(_to_dict(info), separators=(",", ":")))
        os.replace(described, sidecar)
        keys = self._keys_of(bucket)
        at = bisect_left(keys, info.key)
        if at == len(keys) or keys[at] != info.key:
            insort(keys, info.key)
        self._infos[bucket, info.key] = info

    def _info(self, bucket: str, key: str) -> ObjectInfo | None:
        path = object_path(self._root, bucket, key)
        try:
            stat = path.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not path.is_file():
            return None
        known = self._infos.get((bucket, key))
        if known is None or not _describes(known, stat):
            known = self._described(bucket, key, path, stat)
            self._infos[bucket, key] = known
        return known

    def _described(self, bucket: str, key: str, path: Path, stat: os.stat_result) -> ObjectInfo:
        try:
            info: ObjectInfo = read_metadata(metadata_path(self._root, bucket, key), key)
            if _describes(info, stat):
                return info
        except (OSError, ValueError, KeyError):
            pass  # no sidecar, or not a whole one
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False))
        return ObjectInfo(
            key=key,
            size=stat.st_size,
            etag=f'"{digest.hexdigest()}"',
            last_modified=_EPOCH + timedelta(microseconds=stat.st_mtime_ns // 1000),
        )

    def _keys_of(self, bucket: str) -> list[str]:
        if bucket not in self._keys:
            self._keys[bucket] = sorted(_walked(self._root / bucket))
        return self._keys[bucket]

    def _last_batch(self, records: Path) -> Path | None:
        """The file with the greatest name in the folder `records`."""
        bucket, _, prefix = records.relative_to(self._root).as_posix().partition("/")
        keys = self._keys_of(bucket)
        at = bisect_right(keys, f"{prefix}/\U0010ffff") - 1
        if at < 0 or not keys[at].startswith(f"{prefix}/"):
            return None
        return self._root / bucket / keys[at]


async def _staged(body: AsyncIterator[bytes], path: Path) -> tuple[int, bytes]:
    """Write `body` to `path`, through to the disk; its size and MD5."""
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    with path.open("xb", buffering=0) as opened:
        async for chunk in body:
            await asyncio.to_thread(opened.write, chunk)
            digest.update(chunk)
            size += len(chunk)
        await asyncio.to_thread(os.fsync, opened.fileno())
    return size, digest.digest()


def _check_digest(expected: str | None, digest: bytes) -> None:
    if expected is not None and base64.b64encode(digest).decode() != expected:
        raise BadDigest


def _chunks(opened: Any, offset: int, length: int) -> AsyncIterator[bytes]:
    """`length` bytes of the open file, which is closed at the end, or when nobody reads on."""
    opened.seek(offset)
    if length <= _IN_MEMORY_BYTES:
        with opened:
            whole = opened.read(length)

        async def at_once() -> AsyncIterator[bytes]:
            yield whole

        return at_once()

    async def in_turn() -> AsyncIterator[bytes]:
        left = length
        with opened:
            while left > 0:
                chunk = await asyncio.to_thread(opened.read, min(_CHUNK_BYTES, left))
                if not chunk:
                    return
                left -= len(chunk)
                yield chunk

    return in_turn()


def _walked(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        if META_DIR_NAME in folders and Path(parent) == folder:
            folders.remove(META_DIR_NAME)
        inside = Path(parent).relative_to(folder)
        yield from ((inside / name).as_posix() for name in files)


def _names(keys: list[str], prefix: str, delimiter: str, after: str) -> Iterator[str]:
    """The keys under `prefix` beyond `after`, those with a delimiter further on as one name."""
    at = max(bisect_left(keys, prefix), bisect_right(keys, after))
    while at < len(keys) and keys[at].startswith(prefix):
        found = keys[at].find(delimiter, len(prefix)) if delimiter else -1
        if found < 0:
            yield keys[at]
            at += 1
            continue
        name = keys[at][: found + len(delimiter)]
        if name > after:
            yield name
        at = bisect_left(keys, name + "\U0010ffff", at)


def _describes(info: ObjectInfo, stat: os.stat_result) -> bool:
    written_by = _nanoseconds(info.last_modified)
    return bool(info.size == stat.st_size) and stat.st_mtime_ns <= written_by


def _nanoseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def _token_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _key_of(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError:
        raise InvalidArgument(f"not a continuation token: {token!r}") from None
