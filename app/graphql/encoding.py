"""JSON as it leaves: orjson, and the standard library for what orjson cannot say."""

import json
from typing import Any

import orjson


def encoded(body: Any) -> bytes:
    """A response as JSON. Whole numbers of any size keep their digits."""
    try:
        return orjson.dumps(body)
    except TypeError:  # a whole number of more than 64 bits, in stored JSON
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def sorted_bytes(value: Any) -> bytes:
    """Equal for equal values, whatever the order of their keys."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, sort_keys=True, allow_nan=False).encode()
