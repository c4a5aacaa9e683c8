"""A season of flights that nobody flew: the demo's business, with events made here.

Seeded, so that every run sends the same. What was used is a fold of the events themselves.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.cli.demo import flights
from app.cli.demo.scenario import Scenario, Usage
from app.kernel.copies import replace

Event = dict[str, Any]

ORIGINS = ("EWR", "JFK", "LGA")
# Two of each plan of the demo, and one that never flies.
AIRLINES = ("US", "9E", "HA", "F9", "OO")
FLYING = AIRLINES[:4]
_MILLISECOND = timedelta(milliseconds=1)


def season(tenant: str, *, months: int, count: int, seed: int) -> Scenario:
    """The first `months` of 2013 with `count` random flights, and one at either side of every
    boundary between months, the first and the last included."""
    whole = flights.scenario()
    zone = ZoneInfo(whole.timezone)
    bounds = [
        datetime(2013 + month // 12, month % 12 + 1, 1, tzinfo=zone) for month in range(months + 1)
    ]
    dice = random.Random(seed)  # noqa: S311 - the same season every time
    events = _events(dice, bounds, count)
    return replace(
        whole,
        tenant=tenant,
        months=whole.months[:months],
        starts_at=bounds[0],
        ends_at=bounds[-1],
        customers=[each for each in whole.customers if each.external_id in AIRLINES],
        count=len(events),
        events=lambda: iter(events),
        usage=lambda: _usage(events, zone),
        note="made by the tests",
    )


def copies(events: Sequence[Event], seed: int) -> list[Event]:
    """Events that pretend to be some of `events`: the same id, and everything else different."""
    dice = random.Random(seed)  # noqa: S311 - the same copies every time
    return [
        {
            "event_id": event["event_id"],
            "event_name": event["event_name"],
            "external_customer_id": "OO",
            "timestamp": "2013-01-20T12:00:00Z",
            "properties": {"origin": "EWR", "cancelled": "false", "miles": 9_999_999, "tail": "X"},
        }
        for event in dice.sample(events, len(events) // 5)
    ]


def _events(dice: random.Random, bounds: Sequence[datetime], count: int) -> list[Event]:
    first, last = bounds[0].astimezone(UTC), bounds[-1].astimezone(UTC)
    times = [
        first + timedelta(milliseconds=dice.randrange((last - first) // _MILLISECOND))
        for _ in range(count)
    ]
    edges = [
        bound.astimezone(UTC) + aside
        for bound in bounds
        for aside in (-_MILLISECOND, 0 * _MILLISECOND)
    ]
    return [_event(dice, number, at) for number, at in enumerate([*times, *edges], 1)]


def _event(dice: random.Random, number: int, at: datetime) -> Event:
    miles = Decimal(dice.randrange(100_000, 5_000_000)).scaleb(-3)
    properties: dict[str, Any] = {
        "origin": dice.choice(ORIGINS),
        "cancelled": dice.choices(("false", "true"), (19, 1))[0],
        # A fraction travels as text or it would not be exact; whole numbers travel as such.
        "miles": str(miles) if dice.random() < 0.5 else int(miles),
    }
    if dice.random() < 0.95:
        properties["air_minutes"] = dice.randrange(20, 700)
    if dice.random() < 0.95:
        properties["tail"] = f"N{dice.randrange(300):03}"
    return {
        "event_id": f"flight-{number:06}",
        "event_name": "flight",
        "external_customer_id": dice.choice(FLYING),
        "timestamp": at.isoformat(timespec="milliseconds"),
        "source": "season",
        "properties": properties,
    }


def _usage(events: Sequence[Event], zone: ZoneInfo) -> Usage:
    totals: defaultdict[tuple[str, str, str, str | None], Decimal] = defaultdict(Decimal)
    tails: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for event in events:
        properties = event["properties"]
        local = datetime.fromisoformat(event["timestamp"]).astimezone(zone)
        where = (event["external_customer_id"], f"{local:%Y-%m}")
        if properties["cancelled"] == "false":
            totals[*where, "departures", properties["origin"]] += 1
            totals[*where, "departures", None] += 1
            totals[*where, "miles", None] += Decimal(properties["miles"])
        totals[*where, "air_minutes", None] += properties.get("air_minutes", 0)
        if "tail" in properties:
            tails[where].add(properties["tail"])
    for where, seen in tails.items():
        totals[*where, "aircraft", None] = Decimal(len(seen))
    return dict(totals)
