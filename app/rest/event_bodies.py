"""Bodies of requests about events: read within bounds, unpacked within bounds, decoded."""

import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
import orjson
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.kernel.errors import Invalid
from app.rest.problems import TooLarge

T = TypeVar("T", bound=Struct)

MAX_QUERY_BYTES: Final = 262_144
_NO_STORE: Final = {"cache-control": "no-store"}
_GZIP: Final = 31  # zlib's name for "a gzip header, and the largest window"
_JSON: Final = re.compile(
    r"application/([a-z0-9.+-]+\+)?json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.I
)


async def read_body(request: Request, limit: int) -> bytes:
    """The JSON text of the request, of at most `limit` bytes when unpacked.

    Raises: HTTPException (415), TooLarge, Invalid (MALFORMED_GZIP). A body that is too large
    is noticed while it arrives, packed or not, and never held as a whole.
    """
    content_type = request.headers.get("content-type", "")
    if not _JSON.fullmatch(content_type.strip()):
        raise HTTPException(
            415, f"the content type is {content_type or 'missing'}; send application/json in UTF-8"
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise HTTPException(415, f"the content encoding is {encoding}; send gzip, or none")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge(limit)
    unpack = _Gzip(limit) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        body += unpack.feed(chunk) if unpack else chunk
        if len(body) > limit:
            raise TooLarge(limit)
    if unpack:
        unpack.close()
    return bytes(body)


class _Gzip:
    """Unpacks as it arrives, never more than `limit` bytes and one."""

    def __init__(self, limit: int) -> None:
        self._left = limit + 1
        self._stream = zlib.decompressobj(_GZIP)
        self._started = False

    def feed(self, chunk: bytes) -> bytes:
        """What the chunk unpacks to. Raises: Invalid (MALFORMED_GZIP)."""
        parts = []
        while chunk and self._left:
            if self._stream.eof:  # a file may be several packed ones in a row
                self._stream = zlib.decompressobj(_GZIP)
            self._started = True
            try:
                part = self._stream.decompress(chunk, self._left)
            except zlib.error as error:
                raise _malformed(str(error)) from None
            self._left -= len(part)
            parts.append(part)
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return b"".join(parts)

    def close(self) -> None:
        """Raises: Invalid where the body ended before the packed data did."""
        if self._started and not self._stream.eof:
            raise _malformed("it ends too early")


def _malformed(reason: str) -> Invalid:
    return Invalid(f"the body is not gzip: {reason}", code="MALFORMED_GZIP")


def decoded(body: bytes, kind: type[T]) -> T:
    """The body as `kind`. Raises: Invalid (MALFORMED_JSON, UNKNOWN_FIELD, MISSING_FIELD,
    INVALID_BODY)."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise explained(str(error), kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(str(error), code="MALFORMED_JSON") from None


def converted(values: Mapping[str, Any], kind: type[T]) -> T:
    """The parameters of a query as `kind`. Raises: Invalid."""
    try:
        return msgspec.convert(values, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise explained(str(error), kind) from None


def explained(error: str, kind: type[Struct]) -> Invalid:
    """msgspec's message as a refusal that names the field."""
    reason, _, path = error.partition(" - at `$")
    field = path.strip("`.") or None
    code = "INVALID_BODY"
    if (named := re.search(r"field `([^`]*)`", reason)) is not None:
        field, code = named[1], "MISSING_FIELD" if "missing" in reason else "UNKNOWN_FIELD"
    fields = ", ".join(kind.__struct_fields__)
    at = f"{field}: " if field else ""
    return Invalid(f"{at}{reason}; the fields are {fields}", field=field, code=code)


def answer(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`content` as JSON; decimals must be text already."""
    told = {**_NO_STORE, **(headers or {})}
    return Response(
        orjson.dumps(content, option=orjson.OPT_UTC_Z), status, told, media_type="application/json"
    )
