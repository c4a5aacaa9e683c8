"""Checks that many inputs share. Each returns the value to store, or raises Invalid.

`field` is the input's name as the caller spells it; the code is `INVALID_` + the field's name.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from app.kernel.currencies import MINOR_UNITS
from app.kernel.errors import DomainError, Invalid

METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 64, 512
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_LOOKUP_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,254}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ZONES = available_timezones()

T = TypeVar("T")
# What to store for a value of each field.
Checks = Mapping[str, Callable[[Any], Any]]


def invalid(field: str, message: str) -> Invalid:
    last = field.rsplit(".", 1)[-1].split("[", 1)[0]
    code = "INVALID_" + re.sub(r"(?<!^)(?=[A-Z])", "_", last).upper()
    return Invalid(f"{field}: {message}", field=field, code=code)


def required(value: T | None, field: str) -> T:
    """Raises: Invalid (REQUIRED)."""
    if value is None:
        raise Invalid(f"{field}: must not be null", field=field, code="REQUIRED")
    return value


@contextmanager
def located(path: str) -> Iterator[None]:
    """A refusal from inside names its field from `path` on. Raises: Invalid."""
    try:
        yield
    except Invalid as error:
        raise Invalid(
            f"{path}.{error.message}", field=f"{path}.{error.field}", code=error.code
        ) from error


@contextmanager
def placed(place: str, known: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Any refusal from inside names its field as the caller wrote it: one of those `known`, else
    within the place. Raises: DomainError."""
    try:
        yield
    except DomainError as refusal:
        field = refusal.field
        refusal.field = place if field is None else known.get(field, f"{place}.{field}")
        raise


def checked(fields: Mapping[str, Any], known: Checks) -> dict[str, Any]:
    """The columns to store for the fields given. Raises: Invalid."""
    unknown = sorted(fields.keys() - known.keys())
    if unknown:
        raise Invalid(
            f"{unknown[0]}: cannot be changed; what can: {', '.join(sorted(known))}",
            field=unknown[0],
            code="UNKNOWN_FIELD",
        )
    return {name: known[name](value) for name, value in fields.items()}


def storable(value: str) -> bool:
    """Whether a text can be stored at all: no U+0000, which PostgreSQL has not, and no lone
    surrogate, which UTF-8 has not."""
    return _UNSTORABLE.search(value) is None


def text(value: str, field: str, *, longest: int = 255) -> str:
    """Not blank, no control characters, at most `longest` characters; outer blanks go."""
    stripped = value.strip()
    if not stripped:
        raise invalid(field, "must not be blank")
    if len(stripped) > longest:
        raise invalid(field, f"{len(stripped)} characters are too many; at most {longest} fit")
    if not storable(stripped) or any(ord(char) < 32 or ord(char) == 127 for char in stripped):
        raise invalid(field, "must not contain control characters or lone surrogates")
    return stripped


def optional_text(value: str | None, field: str, *, longest: int = 255) -> str | None:
    return None if value is None else text(value, field, longest=longest)


def key(value: str, field: str) -> str:
    """A name that programs use: letters, digits and `_ . : -`, at most 255 characters."""
    if not _LOOKUP_KEY.fullmatch(value):
        raise invalid(
            field,
            f"{value!r} must start with a letter or digit and hold only letters, digits, "
            "'_', '.', ':' and '-', at most 255 of them",
        )
    return value


def email(value: str, field: str = "email") -> str:
    stripped = text(value, field, longest=320)
    if not _EMAIL.fullmatch(stripped):
        raise invalid(field, f"{stripped!r} is not an e-mail address such as ada@example.com")
    return stripped


def timezone(value: str, field: str = "timezone") -> str:
    if value not in _ZONES:
        raise invalid(field, f"{value!r} is not an IANA time zone such as Europe/Berlin")
    return value


def zone(name: str) -> ZoneInfo:
    """The zone of a name that `timezone` has let pass."""
    return ZoneInfo(name)


def currency(value: str, field: str = "currency") -> str:
    if value not in MINOR_UNITS:
        raise invalid(field, f"{value!r} is not an ISO 4217 code such as USD")
    return value


def country(value: str, field: str = "country") -> str:
    if not re.fullmatch(r"[A-Z]{2}", value):
        raise invalid(field, f"{value!r} is not an ISO 3166-1 code of two letters such as DE")
    return value


def json_value(value: Any, field: str, *, bytes_: int, deep: int) -> Any:
    """A JSON value that can be stored: at most `bytes_` long and `deep` lists or objects deep."""
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > deep:
            raise invalid(field, f"lists and objects nest more than {deep} deep")
        if isinstance(item, str) and not storable(item):
            raise invalid(field, "a text holds a NUL character or a lone surrogate")
        if isinstance(item, dict):
            stack += [(each, depth + 1) for each in (*item.keys(), *item.values())]
        elif isinstance(item, list):
            stack += [(each, depth + 1) for each in item]
    try:
        length = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        raise invalid(field, f"is not JSON: {error}") from error
    if length > bytes_:
        raise invalid(field, f"{length} bytes of JSON are too many; at most {bytes_} fit")
    return value


def metadata(value: Mapping[str, str], field: str = "metadata") -> dict[str, str]:
    """At most 50 pairs of strings; keys of at most 64 and values of at most 512 characters."""
    if len(value) > METADATA_KEYS:
        raise invalid(field, f"{len(value)} keys are too many; at most {METADATA_KEYS} fit")
    for name, item in value.items():
        if not isinstance(item, str):
            raise invalid(field, f"the value of {name!r} must be a string, not {item!r}")
        if not 0 < len(name) <= METADATA_KEY_LENGTH:
            raise invalid(
                field, f"the key {name!r} must have 1 to {METADATA_KEY_LENGTH} characters"
            )
        if len(item) > METADATA_VALUE_LENGTH:
            raise invalid(
                field, f"the value of {name!r} has more than {METADATA_VALUE_LENGTH} characters"
            )
        if not storable(name + item):
            raise invalid(field, f"{name!r} holds a NUL character or a lone surrogate")
    return dict(value)
