"""An AI company bills its customers for the tokens of an LLM inference trace.

The trace is a CSV file with the columns TIMESTAMP (UTC), ContextTokens and GeneratedTokens. It
names no customers: row number n belongs to the customer that SHA-256 of n picks from a skewed
distribution (weights 1, 1/2, 1/3 …), so that every run gives the same result.
"""

import csv
import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate
from math import lcm
from pathlib import Path
from typing import Any

from app.cli.demo.scenario import (
    CustomerSpec,
    MeterSpec,
    PlanSpec,
    PriceSpec,
    Scenario,
    TierSpec,
    Usage,
)

_NAMES = [
    "Aurora Labs",
    "Birch Legal",
    "Cobalt Support",
    "Delta Notes",
    "Ember Studio",
    "Fjord Research",
    "Granite Bank",
    "Harbor Health",
    "Iris Media",
    "Juniper Retail",
    "Kestrel Maps",
    "Lumen Travel",
]
_COMMON = lcm(*range(1, len(_NAMES) + 1))
_BOUNDS = list(accumulate(_COMMON // rank for rank in range(1, len(_NAMES) + 1)))
_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


class BadTrace(Exception):
    """The file is not a trace of the shape the demo bills."""


def scenario(path: Path) -> Scenario:
    """Raises: BadTrace."""
    months: set[str] = set()
    count = 0
    for _, at, _, _ in _rows(path):
        months.add(at[:7])
        count += 1
    if not count:
        raise BadTrace(f"{path}: no rows below the header")
    first, last = min(months), max(months)
    return Scenario(
        # A trace of its own, a tenant of its own: row numbers identify events only within one.
        tenant=f"Meridian Inference {_digest(path)}",
        seller="Meridian Inference",
        currency="USD",
        timezone="UTC",
        months=list(_months(first, last)),
        starts_at=_start(first),
        ends_at=_start(_following(last)),
        customers=[CustomerSpec(_id(name), name, "tokens") for name in _NAMES],
        meters=_METERS,
        plans=_PLANS,
        count=count,
        events=lambda: _events(path),
        usage=lambda: _usage(path),
        note=f"{count:,} requests of {path.name}; customers assigned by a hash of the row number",
    )


_METERS = [
    MeterSpec("requests", "Requests", "inference", "COUNT", unit="request"),
    MeterSpec("input_tokens", "Input tokens", "inference", "SUM", "input_tokens", unit="token"),
    MeterSpec("output_tokens", "Output tokens", "inference", "SUM", "output_tokens", unit="token"),
]


def _per_million(*rows: tuple[str | None, str]) -> list[TierSpec]:
    """Tiers of a price quoted per million tokens."""
    return [
        TierSpec(None if bound is None else Decimal(bound), Decimal(price).scaleb(-6))
        for bound, price in rows
    ]


_PLANS = [
    PlanSpec(
        "tokens",
        "Tokens",
        [
            PriceSpec("Platform fee", "flat", amount=Decimal("20.00")),
            PriceSpec("Requests", "package", "requests", amount=Decimal("0.35"), size=Decimal(100)),
            PriceSpec(
                "Input tokens",
                "graduated",
                "input_tokens",
                tiers=_per_million(("250000", "3.00"), ("1000000", "2.50"), (None, "1.875")),
            ),
            PriceSpec(
                "Output tokens",
                "graduated",
                "output_tokens",
                tiers=_per_million(("100000", "15.00"), ("500000", "12.00"), (None, "9.375")),
            ),
        ],
    )
]


def _rows(path: Path) -> Iterator[tuple[int, str, int, int]]:
    """Row number from 1, instant as ISO 8601 with milliseconds, input and output tokens."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if missing := [c for c in _COLUMNS if c not in (reader.fieldnames or ())]:
                raise BadTrace(f"{path}: the header lacks {', '.join(missing)}")
            for number, row in enumerate(reader, 1):
                yield number, *_parsed(path, number, row)
    except (OSError, UnicodeDecodeError) as error:
        raise BadTrace(f"{path}: {error}") from error


def _parsed(path: Path, number: int, row: dict[str, str]) -> tuple[str, int, int]:
    stamp, context, generated = (row[column] for column in _COLUMNS)
    try:
        # The file has up to seven digits of a second; events are kept to the millisecond.
        whole, _, fraction = stamp.strip().partition(".")
        at = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        tokens = int(context), int(generated)
    except (ValueError, AttributeError, TypeError) as error:
        raise BadTrace(f"{path}, row {number}: {error}") from error
    if min(tokens) < 0 or not (fraction or "0").isdigit():
        raise BadTrace(f"{path}, row {number}: not a count of tokens or not a time: {row}")
    return f"{at:%Y-%m-%dT%H:%M:%S}.{(fraction + '000')[:3]}Z", *tokens


def _customer(number: int) -> str:
    digest = hashlib.sha256(str(number).encode()).digest()
    point = int.from_bytes(digest[:8]) * _BOUNDS[-1] >> 64
    return _id(_NAMES[bisect_right(_BOUNDS, point)])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _id(name: str) -> str:
    return name.lower().replace(" ", "-")


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for number, at, context, generated in _rows(path):
        yield {
            "event_id": f"request-{number}",
            "event_name": "inference",
            "external_customer_id": _customer(number),
            "timestamp": at,
            "source": path.name,
            "properties": {"input_tokens": context, "output_tokens": generated},
        }


def _usage(path: Path) -> Usage:
    totals: defaultdict[tuple[str, str, str, str | None], int] = defaultdict(int)
    for number, at, context, generated in _rows(path):
        who, month = _customer(number), at[:7]
        totals[who, month, "requests", None] += 1
        totals[who, month, "input_tokens", None] += context
        totals[who, month, "output_tokens", None] += generated
    return {key: Decimal(count) for key, count in totals.items()}


def _following(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def _months(first: str, last: str) -> Iterator[str]:
    while first <= last:
        yield first
        first = _following(first)


def _start(month: str) -> datetime:
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
