"""An invoice comes out again as it is stored, or it is said where it does not."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.invoicing import actions, billing, rating, replaying
from app.kernel.errors import NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.subscriptions.subscription import PaymentTerms
from tests.invoicing.test_billing import FEB, MAR, bill, invoices, lines
from tests.invoicing.world import JAN

DAY = timedelta(days=1)


async def replay(world, invoice):
    return await actions.replay(world.scope, invoice.id, world.services.clickhouse)


async def finalized(world, at=FEB):
    for invoice in await invoices(world):
        if invoice.status == "draft":
            await actions.finalize(world.scope, invoice.id, by=SYSTEM, at=at)
    return await invoices(world)


async def test_an_invoice_is_the_same_whatever_comes_later(world):
    await world.subscribe("acme")
    first, _ = await world.use("acme", [(JAN, "120", "eu"), (JAN + DAY, "5", "us")])
    await bill(world, FEB)
    opening, cycle = await finalized(world)
    await world.use("acme", [(JAN + 2 * DAY, "1000", "br")], accepted=FEB + DAY)
    await world.void(first, FEB + DAY)
    for invoice in (opening, cycle):
        found = await replay(world, invoice)
        assert found.differences == ()
        assert found.identical
        assert all(version.same for version in found.versions)
    assert [version.name for version in found.versions] == [
        "engine", "catalog", "zone_data", "usage",
    ]  # fmt: skip


async def test_what_is_stored_without_its_facts_is_different_and_it_is_said_where(world):
    """An event that slipped in before the watermark, which consumers never let happen."""
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu")])
    await bill(world, FEB)
    _, cycle = await finalized(world)
    await world.use("acme", [(JAN + DAY, "10", "us")])
    found = await replay(world, cycle)
    assert not found.identical
    told = {each.path: (each.stored, each.replayed) for each in found.differences}
    assert told["lines[1].quantity"] == ("120", "130")
    assert told["lines[1].amount"] == ("55", "56")
    traffic = (await lines(world, cycle))[2].subscription_line_item_id
    assert told[f"lines[{traffic} region=us]"] == (None, "0.01")


async def test_another_engine_shows_in_the_versions_and_in_what_comes_out(world, monkeypatch):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu")])
    await bill(world, FEB)
    _, cycle = await finalized(world)
    monkeypatch.setattr(replaying, "ENGINE_VERSION", "another")
    monkeypatch.setattr(rating, "minor_units", lambda currency: 1)
    found = await replay(world, cycle)
    engine = found.versions[0]
    said = (engine.name, engine.stored, engine.present, engine.same)
    assert said == ("engine", rating.ENGINE_VERSION, "another", False)
    assert ("lines[2].amount", "0.12", "0.1") in {
        (each.path, each.stored, each.replayed) for each in found.differences
    }


async def test_prorated_fees_and_thresholds_come_out_again(world):
    await world.subscribe("slow", starts_at=JAN + 10 * DAY, anchor=JAN)
    await world.subscribe("acme", terms=PaymentTerms(auto_invoice_threshold=Decimal(50)))
    await bill(world, JAN)
    await world.use("acme", [(JAN, "90", "eu"), (JAN + DAY, "200", "us")])
    world.clock.at = JAN + 12 * DAY
    await billing.threshold_page(world.services, world.page())
    await world.use("acme", [(JAN + 20 * DAY, "40", "us")])
    await bill(world, MAR)
    made = await finalized(world, MAR)
    assert {"threshold", "subscription_create", "subscription_cycle"} == {i.reason for i in made}
    for invoice in made:
        found = await replay(world, invoice)
        assert found.differences == (), (invoice.reason, invoice.period)


async def test_an_unknown_invoice_is_not_replayed(world):
    with pytest.raises(NotFound):
        await actions.replay(world.scope, new_id("inv"), world.services.clickhouse)
