"""Prefixed ULIDs: `cus_01JD…`. Sortable by creation, unique without coordination.

The 26 characters are 48 bits of milliseconds and 80 random bits in Crockford's base 32
(source: the ULID specification). Within one process and millisecond the random part counts
up, so that ids made one after another also sort one after another.
"""

import os
import re
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# By what ten and fifteen bits come to.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_TRIPLES = [pair + third for pair in _PAIRS for third in _ALPHABET]
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_ID = re.compile(r"([a-z]{2,8})_([0-7][0-9A-HJKMNP-TV-Z]{25})")

# The registry of prefixes: one per kind of thing, never reused. `node(id:)` dispatches on it.
PREFIXES = {
    "ten": "tenant",
    "env": "environment",
    "usr": "user",
    "sva": "service account",
    "key": "API key",
    "rol": "role",
    "aud": "audit entry",
    "ses": "session",
    "cus": "customer",
    "cmem": "customer membership",
    "mtr": "meter",
    "feat": "feature",
    "grp": "group",
    "plan": "plan",
    "plv": "plan version",
    "addon": "addon",
    "pri": "price",
    "pun": "price unit",
    "ent": "entitlement",
    "cpn": "coupon",
    "cpa": "coupon attachment",
    "txr": "tax rate",
    "txa": "tax association",
    "txe": "tax exemption",
    "sub": "subscription",
    "sli": "subscription line item",
    "hold": "subscription holding",
    "spau": "subscription pause",
    "schg": "subscription change",
    "plmg": "plan migration",
    "plmi": "plan migration item",
    "inv": "invoice",
    "invl": "invoice line",
    "stl": "invoice settlement",
    "crn": "credit note",
    "crnl": "credit note line",
    "cra": "application of a credit note",
    "invd": "invoice discount",
    "invt": "invoice tax",
    "invp": "invoice prepaid credit",
    "icor": "invoice correction",
    "icap": "application of an invoice correction",
    "due": "due item",
    "clk": "test clock",
    "obx": "outbox entry",
    "evt": "event",
    "cor": "event correction",
    "run": "billing run",
    "req": "request",
    "idem": "idempotency record",
}

_RANDOM_BYTES = 10
_lock = threading.Lock()
_last = 0
# Random bytes drawn ahead, by the hundred ids; what a process draws is its own.
_drawn = b""
_place = 0


def ulid() -> str:
    """A new ULID, greater than every one this process has made before."""
    return ulids(1)[0]


def ulids(count: int) -> list[str]:
    """As many new ULIDs, each greater than the one before it."""
    global _last
    values = []
    milliseconds = time.time_ns() // 1_000_000 << 80
    with _lock:
        for _ in range(count):
            _last = max(milliseconds | _random(), _last + 1)
            values.append(_last)
    return [_text(value) for value in values]


def _text(value: int) -> str:
    return (
        _PAIRS[value >> 120]
        + _TRIPLES[value >> 105 & 32767]
        + _TRIPLES[value >> 90 & 32767]
        + _TRIPLES[value >> 75 & 32767]
        + _TRIPLES[value >> 60 & 32767]
        + _TRIPLES[value >> 45 & 32767]
        + _TRIPLES[value >> 30 & 32767]
        + _TRIPLES[value >> 15 & 32767]
        + _TRIPLES[value & 32767]
    )


def _random() -> int:
    """80 bits; under the lock."""
    global _drawn, _place
    if _place == len(_drawn):
        _drawn, _place = os.urandom(100 * _RANDOM_BYTES), 0
    _place += _RANDOM_BYTES
    return int.from_bytes(_drawn[_place - _RANDOM_BYTES : _place], "big")


def _draw_anew() -> None:
    """A process that was forked has what its parent drew, and must not use it."""
    global _drawn, _place
    _drawn, _place = b"", 0


os.register_at_fork(after_in_child=_draw_anew)


def new_id(prefix: str) -> str:
    """A new id of the kind named by `prefix`, which must be registered in `PREFIXES`."""
    _require(prefix)
    return f"{prefix}_{ulid()}"


def new_ids(prefix: str, count: int) -> list[str]:
    """As many new ids of the kind named by `prefix`, each greater than the one before it."""
    _require(prefix)
    return [f"{prefix}_{each}" for each in ulids(count)]


def _require(prefix: str) -> None:
    if prefix not in PREFIXES:
        raise ValueError(f"no kind of thing has the prefix {prefix}")


def prefix_of(value: str) -> str | None:
    """The registered prefix of a well-formed id, else None."""
    match = _ID.fullmatch(value)
    return match[1] if match and match[1] in PREFIXES else None


def is_id(value: str, prefix: str) -> bool:
    """Whether `value` is a well-formed id of the kind named by `prefix`."""
    return prefix_of(value) == prefix
