"""Keys said twice in one object, which decoding alone would hide: there the last one wins."""

import re
from collections.abc import Iterator

import msgspec

# What tells the keys of an object from all else; what is inside a string is one token.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:]', re.DOTALL)

_text = msgspec.json.Decoder(str)


def repeated_keys(raw: bytes) -> list[str]:
    """The keys that occur twice at the top of a JSON object, each once. `raw` is well-formed.

    What lies deeper is not looked at, however deep it nests. Time grows with the length alone.
    """
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for key in _top_keys(raw):
        if key in seen:
            twice[key] = None
        seen.add(key)
    return list(twice)


def _top_keys(raw: bytes) -> Iterator[str]:
    level = 0
    last = b""
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if token == b":":
            if level == 1:
                yield _text.decode(last)
        elif token in b"[{":
            level += 1
        elif token in b"]}":
            level -= 1
        else:
            last = token
