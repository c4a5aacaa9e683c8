"""The rules for an event's properties, which are kept as the bytes that were sent."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

# Deep enough for any metering; the readers of JSON behind us recurse.
MAX_DEPTH = 32


class PropertiesFault(Exception):
    """What is wrong, as a code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def require_object(raw: bytes, *, max_bytes: int) -> None:
    """Refuse what is not one JSON object of at most `max_bytes` without a repeated key.

    `raw` is well-formed JSON. Raises: PropertiesFault (NOT_AN_OBJECT, PROPERTIES_TOO_LARGE,
    PROPERTIES_TOO_DEEP, NUMBER_OUT_OF_RANGE, DUPLICATE_KEY).
    """
    if not raw.startswith(b"{"):
        raise PropertiesFault("NOT_AN_OBJECT", 'expected an object such as {"tokens": 12}')
    if len(raw) > max_bytes:
        raise PropertiesFault(
            "PROPERTIES_TOO_LARGE", f"{len(raw)} bytes; at most {max_bytes} are accepted"
        )
    if depth(raw) > MAX_DEPTH:
        raise PropertiesFault("PROPERTIES_TOO_DEEP", f"nested deeper than {MAX_DEPTH} levels")
    try:
        msgspec.json.decode(raw)
    except msgspec.ValidationError:
        raise PropertiesFault(
            "NUMBER_OUT_OF_RANGE",
            "a number is beyond 1e308 or has more than 4300 characters; send it as a string",
        ) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PropertiesFault("INVALID_TEXT", f"a string is not Unicode: {error}") from None
    json.loads(raw, object_pairs_hook=_once, parse_float=str, parse_int=str)


def depth(raw: bytes) -> int:
    """How deep the JSON value nests; brackets inside strings do not count."""
    level = deepest = 0
    inside = escaped = False
    for byte in raw:
        if inside:
            inside = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest


def has_repeated_key(raw: bytes, decoded: Mapping[str, Any]) -> bool:
    """Whether a key occurs twice in one object of `raw`, of which `decoded` is the content.

    A flat object is settled by counting colons: one for every pair of the text, and those
    inside its strings. What escapes may hide is read in full.
    """
    colons = raw.count(b":")
    if colons == len(decoded):
        return False
    if b"\\" not in raw:
        for key, value in decoded.items():
            colons -= key.count(":")
            if value.__class__ is str:
                colons -= value.count(":")
        if colons == len(decoded):
            return False
    try:
        json.loads(raw, object_pairs_hook=_once, parse_float=str, parse_int=str)
    except PropertiesFault:
        return True
    return False


def _once(pairs: list[tuple[str, Any]]) -> None:
    keys = set()
    for key, _ in pairs:
        if key in keys:
            raise PropertiesFault("DUPLICATE_KEY", f"the key {key!r} occurs twice in one object")
        keys.add(key)
