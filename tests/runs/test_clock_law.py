"""The clock law: how far a clock is advanced at once makes no difference to what is billed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from app.catalog.actions import prices
from app.catalog.price import ChargeKind, CreatePrice, InvoiceTiming
from app.catalog.prices import Flat, PerUnit
from app.catalog.reads import features
from app.kernel.period import Cadence
from app.kernel.scope import SYSTEM
from tests.invoicing.test_billing import invoices, lines
from tests.invoicing.world import JAN, World
from tests.runs import clocked
from tests.runs.clocked import advance

DAYS = 40
CADENCES = (Cadence("week"), Cadence("month"), Cadence("day", 10))
ZONES = ("UTC", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu")


@dataclass(frozen=True)
class Sold:
    """One subscription and what is used of it."""

    name: str
    cadence: Cadence
    zone: str
    alignment: str
    starts_at: datetime
    ends_at: datetime | None
    used: tuple[tuple[datetime, str, str], ...]


def drawn(random: Random, number: int) -> Sold:
    cadence = random.choice(CADENCES)
    starts_at = JAN + timedelta(seconds=random.randrange(10 * 86_400))
    lasts = timedelta(seconds=random.randrange(15 * 86_400, 60 * 86_400))
    used = tuple(
        (
            JAN + timedelta(milliseconds=random.randrange(DAYS * 86_400_000)),
            str(random.randrange(1, 10_000) / Decimal(100)),
            random.choice(("eu", "us")),
        )
        for _ in range(20)
    )
    # A calendar has no periods of ten days.
    aligned = ("anniversary",) if cadence.count > 1 else ("anniversary", "calendar")
    return Sold(
        name=f"customer-{number}",
        cadence=cadence,
        zone=random.choice(ZONES),
        alignment=random.choice(aligned),
        starts_at=starts_at,
        ends_at=random.choice((None, starts_at + lasts)),
        used=used,
    )


def steps_of(random: Random, mode: str) -> list[datetime]:
    """Where the clock stops on its way."""
    end = JAN + timedelta(days=DAYS)
    if mode == "one jump":
        return [end]
    if mode == "day by day":
        return [JAN + timedelta(days=day) for day in range(1, DAYS + 1)]
    stops = sorted(random.randrange(DAYS * 86_400) for _ in range(7))
    return [*(JAN + timedelta(seconds=second) for second in stops), end]


async def settled(clickhouse, storage, sold: list[Sold], **options) -> World:
    world = await clocked.build(clickhouse, storage, **options)
    for cadence in {each.cadence for each in sold} - {Cadence("month")}:
        await priced(world, cadence)
    for each in sold:
        await world.subscribe(
            each.name,
            cadence=each.cadence,
            timezone=each.zone,
            alignment=each.alignment,
            starts_at=each.starts_at,
            ends_at=each.ends_at,
        )
        await world.use(each.name, each.used)
    return world


async def priced(world: World, cadence: Cadence) -> None:
    """A fee and usage for a rhythm that the world's plan is not sold in."""
    (feature,) = (await features.by_lookup_keys(world.scope, ["requests"])).values()
    shared = {"plan_id": world.plan_id, "currency": "USD", "cadence": cadence}
    for command in (
        CreatePrice(
            display_name="Fee",
            charge=ChargeKind.FIXED,
            model=Flat(Decimal("7.77")),
            timing=InvoiceTiming.ADVANCE,
            **shared,
        ),
        CreatePrice(
            display_name="Calls",
            charge=ChargeKind.USAGE,
            model=PerUnit(Decimal("0.0123")),
            feature_id=feature.id,
            **shared,
        ),
    ):
        await prices.create(world.scope, command, by=SYSTEM, at=JAN)


async def billed(world: World) -> list[tuple]:
    """Everything of an invoice but ids, in the order of issue."""
    names = {customer.id: name for name, customer in world.customers.items()}
    facts = []
    for invoice in await invoices(world):
        items = [
            (li.description, li.group, li.quantity, li.amount, li.service)
            for li in await lines(world, invoice)
        ]
        facts.append(
            (
                names[invoice.customer_id],
                invoice.number,
                invoice.status,
                invoice.reason,
                invoice.period,
                invoice.totals,
                invoice.created_at,
                invoice.issued_at,
                invoice.due_at,
                items,
            )
        )
    return sorted(facts, key=lambda fact: (fact[6], fact[0], fact[4].end))


@pytest.mark.parametrize(("seed", "delay"), [(1, 0), (2, 5 * 3600)])
async def test_one_jump_daily_and_random_steps_bill_the_same(
    database, clickhouse, storage, seed, delay
):
    random = Random(seed)  # noqa: S311 - the same each time
    sold = [drawn(random, number) for number in range(3)]
    found = {}
    for mode in ("one jump", "day by day", "random steps"):
        world = await settled(clickhouse, storage, sold, delay_seconds=delay)
        for to in steps_of(random, mode):
            await advance(world, to)
        found[mode] = await billed(world)
    assert len(found["one jump"]) >= 6
    assert sum(len(items) for *_, items in found["one jump"]) >= 10
    assert found["day by day"] == found["one jump"]
    assert found["random steps"] == found["one jump"]
