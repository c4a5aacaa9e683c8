from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import price_units as actions
from app.catalog.actions import prices
from app.catalog.errors import Archived, NotArchived
from app.catalog.price_unit import PriceUnitStatus
from app.catalog.prices import Conversion, PerUnit
from app.catalog.reads import price_units as reads
from app.catalog.reads import prices as price_reads
from app.infra.listing import Condition, PageRequest
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told


async def test_a_price_unit_lives(database, scope, clock):
    made = await make.price_unit(scope, clock, name=" Credits ", symbol="¢")
    assert (made.code, made.name, made.symbol) == ("CRD", "Credits", "¢")
    assert (made.base_currency, made.conversion_rate) == ("USD", Decimal("0.01"))
    assert await reads.by_codes(scope, ["CRD", "none"]) == {"CRD": made}
    clock.at += timedelta(days=1)
    patch = {"conversion_rate": Decimal("0.012"), "symbol": None}
    changed = await actions.update(scope, made.id, patch, by=SYSTEM, at=clock.now())
    assert (changed.conversion_rate, changed.symbol) == (Decimal("0.012"), None)
    before, after = await changes(scope, made.id)
    assert (before["conversion_rate"], after["conversion_rate"]) == ("0.01", "0.012")
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (PriceUnitStatus.ARCHIVED, clock.now())
    async with refused(scope, Archived, "PRICE_UNIT_ARCHIVED", "id"):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == changed
    verbs = ["create", "update", "archive", "restore"]
    assert await audited(scope, made.id) == [f"price_unit.{verb}" for verb in verbs]
    past = ["created", "updated", "archived", "restored"]
    assert await told(scope, made.id) == [(f"price_unit.{verb}", {}) for verb in past]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"code": "a b"}, "code", "INVALID_CODE"),
        ({"code": "x" * 33}, "code", "INVALID_CODE"),
        ({"code": "usd"}, "code", "INVALID_CODE"),
        ({"code": None}, "code", "REQUIRED"),
        ({"name": ""}, "name", "INVALID_NAME"),
        ({"symbol": "x" * 9}, "symbol", "INVALID_SYMBOL"),
        ({"base_currency": "CRD"}, "baseCurrency", "INVALID_BASE_CURRENCY"),
        ({"conversion_rate": Decimal(0)}, "conversionRate", "NOT_POSITIVE"),
        ({"conversion_rate": Decimal(-1)}, "conversionRate", "NEGATIVE_AMOUNT"),
        ({"conversion_rate": Decimal("NaN")}, "conversionRate", "NOT_FINITE"),
        ({"conversion_rate": Decimal("1E-19")}, "conversionRate", "TOO_MANY_DIGITS"),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    async with refused(scope, Invalid, code, field):
        await make.price_unit(scope, clock, **fields)


async def test_code_and_currency_never_change(database, scope, clock):
    made = await make.price_unit(scope, clock)
    for name, value in (("code", "TOK"), ("base_currency", "EUR")):
        async with refused(scope, Invalid, "UNKNOWN_FIELD", name):
            await actions.update(scope, made.id, {name: value}, by=SYSTEM, at=clock.now())


async def test_a_code_is_taken_until_its_unit_is_archived(database, scope, clock):
    first = await make.price_unit(scope, clock)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "code"):
        await make.price_unit(scope, clock, base_currency="EUR")
    async with refused(scope, NotArchived, "PRICE_UNIT_NOT_ARCHIVED", "id"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    await make.price_unit(scope, clock)
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "code"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_a_price_keeps_the_rate_of_its_unit_until_told_otherwise(database, scope, clock):
    plan, unit = await make.plan(scope, clock), await make.price_unit(scope, clock)
    made = await make.usage_price(scope, clock, plan.id, price_unit_id=unit.id)
    assert made.conversion == Conversion(unit.id, "CRD", Decimal("0.01"))
    alike = await make.usage_price(scope, clock, plan.id, feature_id=made.feature_id)
    assert alike.content_hash != made.content_hash
    assert await price_reads.get(scope, made.id) == made
    patch = {"conversion_rate": Decimal("0.02")}
    await actions.update(scope, unit.id, patch, by=SYSTEM, at=clock.now())
    assert await price_reads.get(scope, made.id) == made
    # Another model is not another rate.
    dearer = {"model": PerUnit(Decimal(2))}
    second = await prices.update(scope, made.id, dearer, by=SYSTEM, at=clock.now())
    assert (second.replaces_id, second.conversion) == (made.id, made.conversion)
    third = await prices.update(scope, second.id, {"refresh_rate": True}, by=SYSTEM, at=clock.now())
    assert (third.replaces_id, third.conversion.rate) == (second.id, Decimal("0.02"))
    again = await prices.update(scope, third.id, {"refresh_rate": True}, by=SYSTEM, at=clock.now())
    assert again.id == third.id
    # An archived unit stays with the prices that are in it, and gives no new rate.
    await actions.archive(scope, unit.id, by=SYSTEM, at=clock.now())
    cheap = {"model": PerUnit(Decimal(1))}
    fourth = await prices.update(scope, third.id, cheap, by=SYSTEM, at=clock.now())
    assert fourth.conversion == third.conversion
    async with refused(scope, Archived, "PRICE_UNIT_ARCHIVED", "priceUnitId"):
        await prices.update(scope, fourth.id, {"refresh_rate": True}, by=SYSTEM, at=clock.now())


async def test_a_price_is_in_a_unit_of_its_currency_that_is_in_use(database, scope, clock):
    plan, unit = await make.plan(scope, clock), await make.price_unit(scope, clock)
    async with refused(scope, Invalid, "PRICE_UNIT_CURRENCY", "currency"):
        await make.price(scope, clock, plan.id, price_unit_id=unit.id, currency="EUR")
    async with refused(scope, NotFound, "NOT_FOUND", "priceUnitId"):
        await make.price(scope, clock, plan.id, price_unit_id="pun_01J00000000000000000000000")
    plain = await make.price(scope, clock, plan.id)
    async with refused(scope, Invalid, "NO_PRICE_UNIT", "refreshRate"):
        await prices.update(scope, plain.id, {"refresh_rate": True}, by=SYSTEM, at=clock.now())
    await actions.archive(scope, unit.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PRICE_UNIT_ARCHIVED", "priceUnitId"):
        await make.price(scope, clock, plan.id, price_unit_id=unit.id)


async def test_units_are_listed_and_strangers_find_none(database, scope, clock):
    unit = await make.price_unit(scope, clock)
    await make.price_unit(scope, clock, code="TOK", base_currency="EUR")
    dollars = PageRequest(where=Condition("base_currency", "eq", "USD"))
    assert [row.id for row in (await reads.page(scope, dollars)).rows] == [unit.id]
    stranger = Scope("ten_01J00000000000000000000000", scope.environment_id)
    assert await reads.by_ids(stranger, [unit.id]) == {}
    assert await reads.by_codes(stranger, ["CRD"]) == {}
    for verb in (actions.archive, actions.restore):
        with pytest.raises(NotFound):
            await verb(stranger, unit.id, by=SYSTEM, at=clock.now())
