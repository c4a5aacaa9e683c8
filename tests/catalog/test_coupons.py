import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import coupons as actions
from app.catalog.actions import prices
from app.catalog.coupon import CouponDuration, CouponKind, CouponStatus, Limits
from app.catalog.errors import Archived, CouponNotRedeemable, NotArchived
from app.catalog.prices import Flat
from app.catalog.reads import coupons as reads
from app.infra.listing import Condition, PageRequest
from app.infra.postgres import writing
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told


async def redeem(scope, coupon, at, currency="USD"):
    async with writing(scope) as connection:
        return await actions.redeem(connection, scope, coupon.id, at=at, currency=currency)


async def test_what_is_created_is_found_by_its_code_in_any_case(database, scope, clock):
    plan = await make.plan(scope, clock)
    made = await make.coupon(
        scope, clock, name="Summer", code=" Summer-25 ", amount_off=Decimal("5.50"),
        currency="EUR", duration=CouponDuration.REPEATED, periods=3,
        limits=Limits(plan_ids=(plan.id, plan.id)), max_redemptions=10, metadata={"team": "a"},
    )  # fmt: skip
    assert (made.code, made.kind, made.amount_off) == (
        "Summer-25",
        CouponKind.FIXED,
        Decimal("5.5"),
    )
    assert (made.percent_off, made.most_invoices, made.redemptions) == (None, 3, 0)
    assert made.limits == Limits(plan_ids=(plan.id,))
    assert await reads.get(scope, made.id) == made
    found = await reads.by_codes(scope, ["SUMMER-25", "summer-25 ", "winter"])
    assert found == {"SUMMER-25": made, "summer-25 ": made}
    assert await audited(scope, made.id) == ["coupon.create"]
    assert await told(scope, made.id) == [("coupon.created", {})]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": " "}, "name", "INVALID_NAME"),
        ({"code": "ten percent"}, "code", "INVALID_CODE"),
        ({"percent_off": None}, "off", "INVALID_DISCOUNT"),
        ({"percent_off": Decimal(1), "amount_off": Decimal(1)}, "off", "INVALID_DISCOUNT"),
        ({"percent_off": Decimal(0)}, "off.percent", "INVALID_PERCENT"),
        ({"percent_off": Decimal("100.1")}, "off.percent", "INVALID_PERCENT"),
        ({"percent_off": Decimal("0.1234567")}, "off.percent", "INVALID_PERCENT"),
        ({"amount_off": Decimal(5)}, "off.amount.currency", "CURRENCY_REQUIRED"),
        ({"amount_off": Decimal("0.5"), "currency": "JPY"}, "off.amount.amount", "INVALID_AMOUNT"),
        ({"amount_off": Decimal(-1), "currency": "USD"}, "off.amount.amount", "INVALID_AMOUNT"),
        ({"amount_off": Decimal(1), "currency": "usd"}, "off.amount.currency", "INVALID_CURRENCY"),
        ({"currency": "ZZZ"}, "currency", "INVALID_CURRENCY"),
        ({"duration": CouponDuration.REPEATED}, "periods", "INVALID_PERIODS"),
        ({"periods": 2}, "periods", "INVALID_PERIODS"),
        ({"duration": CouponDuration.REPEATED, "periods": 0}, "periods", "INVALID_PERIODS"),
        ({"max_redemptions": 0}, "maxRedemptions", "INVALID_MAX_REDEMPTIONS"),
        ({"metadata": {"": "x"}}, "metadata", "INVALID_METADATA"),
        ({"limits": Limits(plan_ids=("plan_x",) * 101)}, "limits.planIds", "INVALID_PLAN_IDS"),
    ],
)  # fmt: skip
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    async with refused(scope, Invalid, code, field):
        await make.coupon(scope, clock, **fields)


async def test_a_window_ends_after_it_starts(database, scope, clock):
    made = await make.coupon(scope, clock, redeem_from=clock.now())
    async with refused(scope, Invalid, "INVALID_REDEEM_UNTIL", "redeemUntil"):
        await make.coupon(scope, clock, redeem_from=clock.now(), redeem_until=clock.now())
    async with refused(scope, Invalid, "INVALID_REDEEM_UNTIL", "redeemUntil"):
        patch = {"redeem_until": clock.now() - timedelta(seconds=1)}
        await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())


async def test_it_is_limited_to_what_is_there(database, scope, clock):
    for field, name in (("plan_ids", "planIds"), ("price_ids", "priceIds"),
                        ("feature_ids", "featureIds")):  # fmt: skip
        async with refused(scope, NotFound, "NOT_FOUND", f"limits.{name}[0]"):
            await make.coupon(scope, clock, limits=Limits(**{field: (new_id("plan"),)}))


async def test_a_code_is_taken_in_any_case_until_its_coupon_is_archived(database, scope, clock):
    first = await make.coupon(scope, clock, code="WELCOME")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "code"):
        await make.coupon(scope, clock, code="welcome")
    archived = await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (CouponStatus.ARCHIVED, clock.now())
    second = await make.coupon(scope, clock, code="welcome")
    assert await reads.by_codes(scope, ["WELCOME"]) == {"WELCOME": second}
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "code"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_it_lives_and_what_it_takes_off_stays(database, scope, clock):
    made = await make.coupon(scope, clock)
    patch = {"name": "Hello", "max_redemptions": 5, "redeem_until": clock.now() + timedelta(days=1)}
    changed = await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    assert (changed.name, changed.max_redemptions) == ("Hello", 5)
    assert (await changes(scope, made.id))[1]["max_redemptions"] == 5
    async with refused(scope, Invalid, "UNKNOWN_FIELD", "percent_off"):
        await actions.update(scope, made.id, {"percent_off": 5}, by=SYSTEM, at=clock.now())
    async with refused(scope, NotArchived, "COUPON_NOT_ARCHIVED", "id"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "COUPON_ARCHIVED", "id"):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == changed
    assert [name for name, _ in await told(scope, made.id)] == [
        "coupon.created", "coupon.updated", "coupon.archived", "coupon.restored",
    ]  # fmt: skip


async def test_the_last_redemption_goes_to_one_of_many(database, scope, clock):
    made = await make.coupon(scope, clock, max_redemptions=2)
    asked = [redeem(scope, made, clock.now()) for _ in range(5)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    lost = [each for each in outcomes if isinstance(each, CouponNotRedeemable)]
    assert [each.code for each in lost] == ["REDEMPTION_LIMIT_REACHED"] * 3
    assert (await reads.get(scope, made.id)).redemptions == 2
    async with refused(scope, Invalid, "INVALID_MAX_REDEMPTIONS", "maxRedemptions"):
        await actions.update(scope, made.id, {"max_redemptions": 1}, by=SYSTEM, at=clock.now())
    async with writing(scope) as connection:
        await actions.give_back(connection, scope, made.id)
    await redeem(scope, made, clock.now())
    assert (await reads.get(scope, made.id)).redemptions == 2


async def test_every_reason_not_to_be_redeemed_has_its_code(database, scope, clock):
    start, end = clock.now(), clock.now() + timedelta(days=1)
    made = await make.coupon(scope, clock, redeem_from=start, redeem_until=end, currency="EUR")
    early = start - timedelta(microseconds=1)
    for at, currency, code in (
        (early, "EUR", "COUPON_NOT_ACTIVE"),
        (end, "EUR", "COUPON_EXPIRED"),
        (start, "USD", "CURRENCY_MISMATCH"),
    ):
        async with refused(scope, CouponNotRedeemable, code, "couponId"):
            await redeem(scope, made, at, currency)
    assert [p.code for p in made.problems(end, "USD")] == ["COUPON_EXPIRED", "CURRENCY_MISMATCH"]
    assert list(made.problems(start, None)) == []
    await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, CouponNotRedeemable, "COUPON_ARCHIVED", "couponId"):
        await redeem(scope, made, start, "EUR")


def test_limits_cover_any_of_what_they_name():
    assert Limits().cover(None, None, None)
    limits = Limits(plan_ids=("p",), lineage_ids=("q",), feature_ids=("f",))
    assert limits.cover("p", None, None)
    assert limits.cover(None, "q", None)
    assert limits.cover("x", "x", "f")
    assert not limits.cover("f", "p", "q")
    assert not limits.cover(None, None, None)


async def test_a_price_stands_for_the_rows_that_replace_it(database, scope, clock):
    plan = await make.plan(scope, clock)
    price = await make.price(scope, clock, plan.id)
    made = await make.coupon(scope, clock, limits=Limits(price_ids=(price.id,)))
    dearer = {"model": Flat(Decimal(120))}
    successor = await prices.update(scope, price.id, dearer, by=SYSTEM, at=clock.now())
    assert successor.id != price.id
    assert made.limits.cover(None, successor.lineage_id, None)


async def test_coupons_are_listed_and_strangers_find_none(database, scope, clock):
    first = await make.coupon(scope, clock, code="ONE")
    second = await make.coupon(scope, clock, amount_off=Decimal(1), currency="USD")
    assert [row.id for row in (await reads.page(scope, PageRequest())).rows] == [
        second.id,
        first.id,
    ]
    fixed = PageRequest(where=Condition("kind", "eq", "fixed"))
    assert [row.id for row in (await reads.page(scope, fixed)).rows] == [second.id]
    assert [r.id for r in (await reads.page(scope, PageRequest(search="one"))).rows] == [first.id]
    stranger = Scope(scope.tenant_id, new_id("env"))
    assert await reads.by_ids(stranger, [first.id]) == {}
    assert await reads.by_codes(stranger, ["ONE"]) == {}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, first.id, by=SYSTEM, at=clock.now())
    with pytest.raises(NotFound):
        await redeem(stranger, first, clock.now())
