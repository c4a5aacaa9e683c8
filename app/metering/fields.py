"""The top level of a JSON object as text: what meters, filters and dimensions look at.

A string is its characters, a number its digits as sent, true and false are these words, an
object or array is its JSON as sent. null is the same as an absent property. Only the top level
is looked at: a dot in a name is part of the name. Of a name that occurs twice the first counts.
The server reads the column `fields` in the same way; this is the twin for tests and traces.
"""

import json
import re
from collections.abc import Mapping

Fields = Mapping[str, str | None]

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_BLANK = re.compile(r"[ \t\n\r]*")


def read_fields(text: str) -> dict[str, str | None]:
    """The properties of a JSON object. Raises: ValueError."""
    fields: dict[str, str | None] = {}
    at = _after(text, 0, "{")
    if text[at : at + 1] == "}":
        return fields
    while True:
        name, at = _DECODER.raw_decode(text, at)
        start = _after(text, _skip(text, at), ":")
        value, end = _DECODER.raw_decode(text, start)
        is_text = text[start] == '"' or value is None
        fields.setdefault(name, value if is_text else text[start:end])
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            return fields
        at = _after(text, at, ",")


def _after(text: str, at: int, mark: str) -> int:
    """Where the next token starts, past `mark`."""
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"expected {mark!r} at character {at} of a JSON object")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
