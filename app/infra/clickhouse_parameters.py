"""Values on their way into a query, as the server's own parser of parameters reads them.

A query names its parameters with their types, `{customer:String}`; the values travel beside it
and never become part of its text.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from urllib.parse import quote_plus

from app.kernel.errors import Invalid
from app.kernel.quantity import plain


class Encoded(str):
    """The text of a parameter, for values that go into several queries."""

    __slots__ = ()


Scalar = str | int | bool | Decimal | datetime | date | None
Parameter = Scalar | Sequence["Parameter"]

# Servers and proxies bound the length of an address; what is longer is asked in several queries.
MAX_BYTES = 48_000

# The server's instants. One beyond them is compared as the end it lies beyond: nothing that is
# stored lies there, so that every comparison comes out the same.
FIRST = datetime(1900, 1, 1, tzinfo=UTC)
LAST = datetime(2299, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

_ESCAPES = {
    ord("\\"): "\\\\",
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\0"): "\\0",
    ord("\b"): "\\b",
    ord("\f"): "\\f",
}
_QUOTED_ESCAPES = {**_ESCAPES, ord("'"): "\\'"}

_SAFE = ",:()'"  # in the query of an address (RFC 3986), besides what quoting leaves anyway
_PERCENT = {code: quote_plus(chr(code), safe=_SAFE) for code in range(128)}


class Places:
    """Collects the values of a statement and hands out their places in its text.

    `prefix` keeps the names of several of them in one statement apart.
    """

    def __init__(self, prefix: str = "p") -> None:
        self._prefix = prefix
        self.values: dict[str, Parameter] = {}

    def add(self, value: Parameter, type_: str) -> str:
        name = f"{self._prefix}{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{type_}}}"


def encode(value: Parameter) -> str:
    """`value` as the text of a parameter; instants to the microsecond, from `FIRST` to `LAST`.

    Raises: Invalid (text that is not Unicode).
    """
    if isinstance(value, Encoded):
        return value
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return _unicode(value).translate(_ESCAPES)
    if isinstance(value, Sequence):
        return _nested(value)
    return _plain(value)


def within(at: datetime) -> datetime:
    """The instant in UTC, or the end of the server's instants that it lies beyond."""
    return min(max(at, FIRST), LAST).astimezone(UTC)


def encode_all(parameters: Mapping[str, Parameter]) -> dict[str, str]:
    """The parameters as the server wants them named."""
    return {f"param_{name}": encode(value) for name, value in parameters.items()}


def query_string(pairs: Mapping[str, str]) -> str:
    """The part of an address after the question mark."""
    return "&".join(f"{_percent(name)}={_percent(text)}" for name, text in pairs.items())


def _percent(text: str) -> str:
    return _percent_once(text) if isinstance(text, Encoded) else _percent_now(text)


@lru_cache(maxsize=32)
def _percent_once(text: str) -> str:
    """What goes into several queries is quoted for the first."""
    return _percent_now(text)


def _percent_now(text: str) -> str:
    # Lists of thousands of values go this way, where a library's loop over bytes is felt.
    return text.translate(_PERCENT) if text.isascii() else quote_plus(text, safe=_SAFE)


def size(parameters: Mapping[str, Parameter]) -> int:
    """How many bytes the parameters take in the address of a request."""
    return len(query_string(encode_all(parameters)))


def _nested(value: Parameter) -> str:
    """A value inside an array or a tuple, where text is quoted."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + _unicode(value).translate(_QUOTED_ESCAPES) + "'"
    if isinstance(value, datetime | date):
        return f"'{_plain(value)}'"
    if isinstance(value, tuple):
        return "(" + ",".join(_nested(item) for item in value) + ")"
    if isinstance(value, Sequence):
        whole = all(type(item) is int for item in value)
        return "[" + ",".join(map(str if whole else _nested, value)) + "]"
    return _plain(value)


def _plain(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"an instant needs its zone: {value!r}")
        return within(value).isoformat(" ", "microseconds").removesuffix("+00:00")
    if isinstance(value, Decimal):
        return plain(value)
    return str(value)


def _unicode(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(f"{text!r} holds a lone surrogate, which is not text", code="INVALID_TEXT")
    return text
