from decimal import Decimal

import pytest

from app.catalog.actions import tax_rates as actions
from app.catalog.errors import Archived, NotArchived
from app.catalog.reads import tax_rates as reads
from app.catalog.tax_rate import TaxRateKind, TaxRateStatus
from app.infra.listing import Condition, PageRequest
from app.kernel.clock import SystemClock
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.tenants.actions import environments
from tests.catalog import make
from tests.catalog.history import audited, refused, told
from tests.tenants import make as tenants


async def test_what_is_created_is_found(database, scope, clock):
    vat = await make.tax_rate(scope, clock, name="VAT", code="de-vat", description="Germany")
    stamp = await make.tax_rate(scope, clock, amount=Decimal("1.5"), currency="EUR", compound=True)
    zero = await make.tax_rate(scope, clock, percent=Decimal(0), inclusive=True)
    assert (vat.kind, vat.percent, vat.inclusive) == (TaxRateKind.PERCENTAGE, Decimal(19), False)
    assert (stamp.kind, stamp.amount, stamp.currency) == (TaxRateKind.FIXED, Decimal("1.5"), "EUR")
    assert (zero.percent, zero.inclusive, stamp.compound) == (Decimal(0), True, True)
    assert await reads.by_codes(scope, ["de-vat", "none"]) == {"de-vat": vat}
    assert await audited(scope, vat.id) == ["tax_rate.create"]
    assert await told(scope, vat.id) == [("tax_rate.created", {})]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": ""}, "name", "INVALID_NAME"),
        ({"code": "-vat"}, "code", "INVALID_CODE"),
        ({"percent": None}, "rate", "INVALID_TAX_RATE"),
        ({"percent": Decimal(1), "amount": Decimal(1)}, "rate", "INVALID_TAX_RATE"),
        ({"percent": Decimal(-1)}, "rate.percent", "INVALID_PERCENT"),
        ({"percent": Decimal(1001)}, "rate.percent", "INVALID_PERCENT"),
        ({"percent": Decimal(1), "currency": "EUR"}, "rate.amount.currency", "INVALID_CURRENCY"),
        ({"amount": Decimal(1)}, "rate.amount.currency", "INVALID_CURRENCY"),
        ({"amount": Decimal(1), "currency": "EURO"}, "rate.amount.currency", "INVALID_CURRENCY"),
        ({"amount": Decimal("0.001"), "currency": "EUR"}, "rate.amount.amount", "INVALID_AMOUNT"),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    async with refused(scope, Invalid, code, field):
        await make.tax_rate(scope, clock, **fields)


async def test_the_settings_say_whether_prices_hold_a_tax_that_does_not(database):
    clock = SystemClock()
    place = tenants.production(await tenants.tenant(clock))
    settings = {"amounts": {"tax_inclusive": True}}
    await environments.update_settings(place, settings, by=SYSTEM, at=clock.now())
    assert (await make.tax_rate(place, clock, inclusive=None)).inclusive
    assert not (await make.tax_rate(place, clock, inclusive=False)).inclusive


async def test_it_lives_and_what_it_comes_to_stays(database, scope, clock):
    made = await make.tax_rate(scope, clock, code="vat")
    changed = await actions.update(scope, made.id, {"name": "MwSt."}, by=SYSTEM, at=clock.now())
    assert (changed.name, changed.percent) == ("MwSt.", Decimal(19))
    async with refused(scope, Invalid, "UNKNOWN_FIELD", "percent"):
        await actions.update(scope, made.id, {"percent": Decimal(7)}, by=SYSTEM, at=clock.now())
    async with refused(scope, NotArchived, "TAX_RATE_NOT_ARCHIVED", "id"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert archived.status is TaxRateStatus.ARCHIVED
    async with refused(scope, Archived, "TAX_RATE_ARCHIVED", "id"):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    other = await make.tax_rate(scope, clock, code="vat")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "code"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, other.id, by=SYSTEM, at=clock.now())
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == changed


async def test_rates_are_listed_and_strangers_find_none(database, scope, clock):
    low = await make.tax_rate(scope, clock, percent=Decimal(7))
    high = await make.tax_rate(scope, clock, percent=Decimal(19))
    page = await reads.page(scope, PageRequest(where=Condition("percent", "gt", Decimal(10))))
    assert [row.id for row in page.rows] == [high.id]
    stranger = Scope(scope.tenant_id, new_id("env"))
    assert await reads.by_ids(stranger, [low.id, high.id]) == {}
    with pytest.raises(NotFound):
        await actions.archive(stranger, low.id, by=SYSTEM, at=clock.now())
