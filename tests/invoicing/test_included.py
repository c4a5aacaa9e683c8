"""What entitlements include comes off what is billed, and the line says how."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.entitlement import Owner, OwnerKind
from app.catalog.entitlement_terms import Metered, Resets
from app.catalog.prices import Adjustments, Figures, Graduated, Percentage, PerUnit, Tier
from app.catalog.prices.adjustments import Transform
from app.catalog.reads import prices
from app.infra.postgres import fetch
from app.invoicing import actions, billing, explanation, reads
from app.invoicing.drafts import Moment
from app.invoicing.included import SpanFigure, included_of
from app.invoicing.rating import Counted, rate
from app.kernel.copies import replace
from app.kernel.period import Period
from app.subscriptions.entitlements import entitled
from app.subscriptions.holding import Holding
from tests.catalog import make as catalog
from tests.catalog.entitlement_rows import entitlement, metered
from tests.invoicing.make import JAN, JANUARY, fact, price, subscription

D = Decimal
DAY = timedelta(days=1)


def given_to(sold, *terms, **fields):
    """Everything a subscription from 1 January 2025 was given of what a price charges for."""
    row = subscription(**fields)
    rows = [entitlement(each, feature_id=sold.feature_id) for each in terms]
    holding = Holding(
        "hold_1", row.id, Owner(OwnerKind.PLAN, "plan_1"), D(1),
        tuple(each.id for each in rows), None, None, JAN, JAN,
    )  # fmt: skip
    return entitled(row, [holding], {each.id: each for each in rows}, [])


def billed(sold, *terms, groups, used, period=JANUARY):
    """The lines of a charge; `used` says what all groups used in a period."""
    included = included_of(sold, given_to(sold, *terms), period)
    spans = {each: SpanFigure(used(each), 1) for each in included.asked(period)}
    one = fact(sold, *groups, period=period)
    one = replace(one, counted=Counted(one.counted.groups, None, spans), included=included)
    return list(rate(one))


def flat(quantity):
    """So much is used in every period that is asked about."""
    return lambda _: D(quantity)


def charged(line):
    """The quantity that was priced, which a price of 1 a unit makes the amount."""
    assert explanation.evaluate(explanation.to_json(line.explanation)) == line.amount
    return line.amount


ONE = price(PerUnit(D(1)))


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("100", "130", 30), ("100", "100", 0), ("100", "7", 0), ("0", "7", 7), (None, "7", 0)],
)
def test_what_is_beyond_the_limit_is_billed(limit, used, expected):
    (line,) = billed(ONE, metered(limit), groups=[Figures(D(used), 1)], used=flat(used))
    assert (charged(line), line.quantity) == (expected, D(used))
    assert line.price["allowances"] == [
        {
            "resets": "month",
            "limit": limit,
            "start": "2025-01-01T00:00:00+00:00",
            "end": "2025-02-01T00:00:00+00:00",
        }
    ]


def test_the_trace_says_the_window_what_was_used_the_limit_and_what_is_billed():
    (line,) = billed(ONE, metered("100"), groups=[Figures(D(130), 1)], used=flat(130))
    allowance = line.explanation.parts[1]
    assert (allowance.rule, allowance.result) == ("allowance", "30")
    assert [part.rule for part in allowance.parts] == ["counted", "covered"]
    whole, beyond = allowance.parts[1].parts
    assert (whole.result, beyond.rule, beyond.result) == ("130", "beyond", "30")
    assert beyond.inputs == {
        "resets": "month",
        "window_start": "2025-01-01T00:00:00+00:00",
        "window_end": "2025-02-01T00:00:00+00:00",
        "start": "2025-01-01T00:00:00+00:00",
        "end": "2025-02-01T00:00:00+00:00",
        "limit": "100",
    }
    (until,) = beyond.parts
    assert (until.rule, until.inputs["meter_id"]) == ("counted", ONE.meter_id)


def test_without_entitlements_a_line_is_what_it_was():
    (line,) = billed(ONE, groups=[Figures(D(7), 1)], used=flat(7))
    assert charged(line) == 7
    assert "allowances" not in line.price
    assert [part.rule for part in line.explanation.parts] == ["per_unit", "counted"]


def test_lines_of_groups_use_the_limit_up_in_their_order():
    sold = price(PerUnit(D(1)), group_by=("region",))
    groups = [Figures(D(q), 1, (name,)) for q, name in ((50, "us"), (80, "eu"), (30, "ap"))]
    lines = billed(sold, metered("100"), groups=groups, used=flat(160))
    found = {line.group["region"]: charged(line) for line in lines}
    assert found == {"ap": 0, "eu": 10, "us": 50}


def test_the_price_s_own_free_units_come_off_first_and_conversions_convert_the_limit():
    sold = price(PerUnit(D(1)), adjustments=Adjustments(free_units=D(20)))
    (line,) = billed(sold, metered("100"), groups=[Figures(D(130), 1)], used=flat(130))
    assert charged(line) == 10
    per_thousand = Adjustments(transform=Transform(divide_by=D(1000), round="up"))
    sold = price(PerUnit(D(1)), adjustments=per_thousand)
    (line,) = billed(sold, metered("2000"), groups=[Figures(D(5200), 1)], used=flat(5200))
    assert charged(line) == 4  # 6 thousands that were begun, of which 2 are included


def test_tiers_begin_with_what_is_not_included():
    sold = price(Graduated((Tier(D(10), D(2)), Tier(None, D(1)))))
    (line,) = billed(sold, metered("100"), groups=[Figures(D(115), 1)], used=flat(115))
    assert charged(line) == 10 * 2 + 5


def test_what_is_priced_by_its_single_events_is_not_covered():
    sold = price(Percentage(D(3)))
    assert included_of(sold, given_to(sold, metered("5")), JANUARY).allowances == ()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 364), st.decimals(0, 50, places=2)), max_size=30),
    st.decimals(0, 400, places=1),
    st.sampled_from(["day", "week", "month", "quarter", "half_year", "year", "never"]),
)
def test_the_bills_of_a_year_are_what_is_beyond_the_windows_of_the_year(events, limit, resets):
    edges = [datetime(2025, month, 1, tzinfo=UTC) for month in range(1, 13)]
    edges.append(datetime(2026, 1, 1, tzinfo=UTC))

    def used(period):
        amounts = (q for day, q in events if period.contains(JAN + day * DAY))
        return sum(amounts, D(0))

    def of(period):
        (line,) = billed(
            sold, metered(limit, resets), groups=[Figures(used(period), 1)], used=used,
            period=period,
        )  # fmt: skip
        assert explanation.evaluate(explanation.to_json(line.explanation)) == line.amount
        return line.amount

    sold = price(PerUnit(D(1)))
    whole = Period(JAN, edges[-1])
    assert sum(of(Period(a, b)) for a, b in pairwise(edges)) == of(whole)


# Through the billing code, on real servers.


async def gives(world, terms, **owner):
    """Let the world's plan give of the feature that its prices charge for."""
    sold = (await prices.offered_of_plans(world.scope, [world.plan_id]))[world.plan_id]
    feature_id = next(each.feature_id for each in sold if each.feature_id is not None)
    wanted = owner or {"plan_id": world.plan_id}
    return await catalog.entitlement(
        world.scope, world.clock, feature_id=feature_id, terms=terms, **wanted
    )


async def lines(world, at, name):
    """The lines of that name of all that is due at an instant, in order of time."""
    world.clock.at = at
    await billing.bill_page(world.services, world.page())
    rows = await fetch(world.scope, "SELECT id FROM invoices ORDER BY period_start, id")
    found = await reads.lines_of_invoices(world.scope, [row["id"] for row in rows])
    every = (line for row in rows for line in found[row["id"]])
    return [line for line in every if line.description == name]


def priced(line):
    """What was priced of a line after what is included; the stored tree must hold."""
    assert explanation.evaluate(line.explanation) == line.amount
    return D(line.explanation["parts"][1]["result"])


async def test_an_allowance_that_is_never_reset_is_taken_off_once_over_all_invoices(world):
    await gives(world, Metered(D(450), Resets.NEVER))
    await world.subscribe("acme")
    for month in (1, 2, 3, 4):
        await world.use("acme", [(datetime(2025, month, 10, tzinfo=UTC), "200", "eu")])
    found = await lines(world, datetime(2025, 5, 1, tzinfo=UTC), "Requests")
    assert [(line.quantity, priced(line)) for line in found] == [
        (200, 0), (200, 0), (200, 150), (200, 200),
    ]  # fmt: skip
    # 100 at 0.5, the rest at 0.1 and 3 for the tier.
    assert [line.amount for line in found] == [0, 0, D(58), D(63)]


async def test_a_daily_allowance_counts_local_days_on_either_side_of_a_change_of_clocks(world):
    await gives(world, Metered(D(10), Resets.DAY))
    await world.subscribe("acme", timezone="America/New_York", alignment="calendar")
    zone = ZoneInfo("America/New_York")
    evenings = [datetime(2025, 3, day, 23, 30, tzinfo=zone) for day in (8, 9)]
    mornings = [datetime(2025, 3, day, 0, 30, tzinfo=zone) for day in (9, 10)]
    await world.use("acme", [(each.astimezone(UTC), "7", "eu") for each in evenings + mornings])
    (march,) = [
        line
        for line in await lines(world, datetime(2025, 4, 2, tzinfo=UTC), "Requests")
        if line.service.start == datetime(2025, 3, 1, 5, tzinfo=UTC)
    ]
    # 7 on the 8th, 14 on the 9th, 7 on the 10th.
    assert (march.quantity, priced(march)) == (28, 4)


async def test_lines_of_groups_share_what_is_included_and_every_price_has_its_own(world):
    await gives(world, Metered(D(100)))
    await world.subscribe("acme")
    day = datetime(2025, 1, 10, tzinfo=UTC)
    await world.use("acme", [(day, "60", "us"), (day, "80", "eu")])
    at = datetime(2025, 2, 1, tzinfo=UTC)
    (requests,) = await lines(world, at, "Requests")
    traffic = await lines(world, at, "Traffic")
    assert priced(requests) == 40
    assert {line.group["region"]: priced(line) for line in traffic} == {"eu": 0, "us": 40}


async def test_an_override_is_billed_by_from_its_start_to_its_end(world):
    await gives(world, Metered(D(100)))
    one = await world.subscribe("acme")
    await gives(
        world, Metered(D(150)), subscription_id=one.id,
        effective_from=datetime(2025, 1, 11, tzinfo=UTC),
        effective_until=datetime(2025, 1, 21, tzinfo=UTC),
    )  # fmt: skip
    await world.use(
        "acme", [(datetime(2025, 1, day, tzinfo=UTC), "60", "eu") for day in (5, 8, 15, 25)]
    )
    (line,) = await lines(world, datetime(2025, 2, 1, tzinfo=UTC), "Requests")
    # 20 beyond 100 by the 11th; at 180 of 150 another 30; then all 60.
    assert priced(line) == 110
    assert [each["limit"] for each in line.price["allowances"]] == ["100", "150", "100"]


async def test_unlimited_usage_costs_nothing_and_a_preview_says_the_same(world):
    await gives(world, Metered(None))
    one = await world.subscribe("acme")
    await world.use("acme", [(datetime(2025, 1, 10, tzinfo=UTC), "5000", "eu")])
    await lines(world, JAN, "Requests")
    world.clock.at = datetime(2025, 2, 1, tzinfo=UTC)
    moment = Moment(world.clock.at, world.clock.at)
    preview = await actions.preview(world.scope, one.id, world.services.clickhouse, moment=moment)
    found = await lines(world, world.clock.at, "Requests")
    mine = [line for line in preview.lines if line.description == "Requests"]
    assert [(line.quantity, line.amount) for line in found] == [(5000, 0)]
    assert [(each.amount, each.explanation) for each in mine] == [
        (each.amount, each.explanation) for each in found
    ]
