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
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
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

_lock = threading.Lock()
_last = 0


def ulid() -> str:
    """A new ULID, greater than every one this process has made before."""
    global _last
    fresh = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    with _lock:
        _last = max(fresh, _last + 1)
        value = _last
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def new_id(prefix: str) -> str:
    """A new id of the kind named by `prefix`, which must be registered in `PREFIXES`."""
    if prefix not in PREFIXES:
        raise ValueError(f"no kind of thing has the prefix {prefix}")
    return f"{prefix}_{ulid()}"


def prefix_of(value: str) -> str | None:
    """The registered prefix of a well-formed id, else None."""
    match = _ID.fullmatch(value)
    return match[1] if match and match[1] in PREFIXES else None


def is_id(value: str, prefix: str) -> bool:
    """Whether `value` is a well-formed id of the kind named by `prefix`."""
    return prefix_of(value) == prefix
