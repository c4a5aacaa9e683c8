"""Parents that pay for their children, and families whose usage is one."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.prices import Adjustments, Figures, Graduated
from app.customers import actions as customers_actions
from app.customers import reads as customers
from app.customers.customer import CreateCustomer
from app.infra.listing import PageRequest
from app.invoicing import explanation
from app.invoicing.actions.headings import subscribers_of
from app.invoicing.family import Share
from app.invoicing.invoice import LineKind
from app.invoicing.rating import rate
from app.invoicing.selecting import selector, span_of
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.scope import SYSTEM
from app.metering import reads as meters
from app.metering import usage_events
from app.metering.usage import Usage
from app.subscriptions import actions as subscriptions
from app.subscriptions import family
from app.subscriptions import reads as subscription_reads
from app.subscriptions.family import FamilyUsage
from app.subscriptions.subscription import PaymentTerms
from tests.invoicing.make import fact, price
from tests.invoicing.test_billing import APR, FEB, MAR, bill, invoices, lines
from tests.invoicing.test_corrections import correct, finalize
from tests.invoicing.test_pdf import words_of
from tests.invoicing.test_replay import replay
from tests.invoicing.world import JAN, TIERS, pdf_of

D = Decimal
DAY = timedelta(days=1)


async def child(world, name, parent, **fields):
    command = CreateCustomer(
        external_id=name, name=name.title(), parent_id=parent.id, **{"currency": "USD"} | fields
    )
    made = await subscriptions.create_customer(
        world.scope, command, by=SYSTEM, at=world.clock.now()
    )
    world.customers[name] = made
    return made


async def usage_lines(world, invoice):
    return [each for each in await lines(world, invoice) if each.kind is LineKind.USAGE]


async def test_a_parent_is_asked_for_what_its_child_bought(world):
    parent = await world.customer("holding")
    eu = await child(world, "eu", parent, currency=None, parent_pays=True)
    paid = await world.subscribe("eu")
    own = await world.subscribe("eu", terms=PaymentTerms(parent_pays=False), currency="USD")
    assert paid.currency == "USD"  # its parent's
    await world.use("eu", [(JAN, "150", "eu")])
    await bill(world, FEB)
    await finalize(world, FEB)
    found = {i.subscription_id: i for i in await invoices(world) if i.period.end == FEB
             and i.reason == "subscription_cycle"}  # fmt: skip
    assert (found[paid.id].customer_id, found[own.id].customer_id) == (parent.id, eu.id)
    assert found[paid.id].bill_to.name == "Holding"
    # Its documents say for whom, as the child was called then.
    await customers_actions.update(world.scope, eu.id, {"name": "Renamed"}, by=SYSTEM, at=FEB)
    assert "Subscription of Eu" in words_of(await pdf_of(world, found[paid.id].id))
    assert "Subscription of" not in words_of(await pdf_of(world, found[own.id].id))
    assert found[paid.id].totals == found[own.id].totals
    assert (await replay(world, found[paid.id])).identical
    # Late usage of the child is corrected on what its parent is asked for next.
    await world.use("eu", [(JAN + DAY, "10", "eu")], accepted=FEB + DAY)
    assert (await correct(world, FEB + 2 * DAY))["corrected"] == 4
    await bill(world, MAR)
    later = [i for i in await invoices(world) if i.period.end == MAR and i.customer_id == parent.id]
    adjusted = [x for i in later for x in await lines(world, i) if x.kind is LineKind.ADJUSTMENT]
    assert sum(x.amount for x in adjusted) == D("1.01")
    # From now on it pays for itself; what is drafted stays.
    await subscriptions.update_customer(
        world.scope, eu.id, {"parent_pays": False}, by=SYSTEM, at=MAR + DAY
    )
    await bill(world, APR)
    newest = [i for i in await invoices(world) if i.period.end == APR]
    assert {i.customer_id for i in newest} == {eu.id}
    # Issued together, in whatever order, each says for whom its own customer pays.
    both = [i for i in await invoices(world) if i.subscription_id == paid.id and i.period.end > FEB]
    for some in (both, both[::-1]):
        found = await subscribers_of(world.scope, some)
        named = [{s.name for s in found[i.id].values()} for i in both]
        assert named == [{"Renamed"} if i.customer_id == parent.id else set() for i in both]
    assert {i.customer_id for i in both} == {parent.id, eu.id}


@pytest.mark.parametrize("apart", [False, True])
async def test_what_a_family_uses_is_priced_as_one(world, apart):
    parent = await world.customer("holding")
    await child(world, "eu", parent)
    await child(world, "us", parent)
    await child(world, "apart", parent, inherits=False)
    await world.subscribe("holding", family_usage=True, lines_per_customer=apart)
    await world.use("holding", [(JAN, "50", "eu")])
    first, *_ = await world.use("eu", [(JAN, "100", "eu"), (JAN + DAY, "7", "us")])
    await world.use("us", [(JAN + 2 * DAY, "50", "eu")])
    await world.use("apart", [(JAN, "1000", "eu")])
    await bill(world, FEB)
    await finalize(world, FEB)
    cycle = (await invoices(world))[-1]
    asked = await usage_lines(world, cycle)
    requests = [each for each in asked if each.description == "Requests"]
    # 100 at 0.5, 107 at 0.1 and 3 for the tier, however it is shared.
    assert sum(each.amount for each in requests) == D("63.70")
    assert sum(each.quantity for each in requests) == D(207)
    names = [each.group.get("customer") for each in requests]
    assert names == (["eu", "holding", "us"] if apart else [None])
    for each in asked:
        assert explanation.evaluate(each.explanation) == each.amount
    assert (await replay(world, cycle)).identical
    for each in requests:
        assert len(await events_of(world, each)) == (
            {"eu": 2}.get(each.group["customer"], 1) if apart else 4
        )
    # What comes late, and is taken back, of a child is corrected on the family's invoice.
    await world.use("us", [(JAN + DAY, "3", "br")], accepted=FEB + DAY)
    await world.void(first, FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    await bill(world, MAR)
    later = (await invoices(world))[-1]
    adjusted = [x for x in await lines(world, later) if x.kind is LineKind.ADJUSTMENT]
    billed = requests + [x for x in adjusted if x.description.startswith("Requests")]
    assert sum(x.amount for x in billed) == D("54.00")  # 110 requests
    for each in adjusted:
        assert explanation.evaluate(each.explanation) == each.amount
        assert await events_of(world, each) is not None


async def events_of(world, line):
    """What the graph pages through: the events of the line's first counted step."""
    leaf = next(_leaves(explanation.from_json(line.explanation).parts[1:]))
    (owner,) = (await subscription_reads.line_items_by_ids(
        world.scope, [line.subscription_line_item_id])).values()  # fmt: skip
    subscription = await subscription_reads.get(world.scope, owner.subscription_id)
    invoice = next(i for i in await invoices(world) if i.id == line.invoice_id)
    wanted = selector(leaf, line.price, customer_id=subscription.customer_id,
                      as_of=invoice.usage_watermark)  # fmt: skip
    members = (await customers.memberships_of(world.scope, [subscription.customer_id])).get(
        subscription.customer_id, [])  # fmt: skip
    mine = await customers.get(world.scope, subscription.customer_id)
    span = span_of(wanted, mine.external_id, members)
    meter = (await meters.by_ids(world.scope, [wanted.meter_id]))[wanted.meter_id]
    page = await usage_events.page(
        world.scope, world.services.clickhouse, meter, [span], request=PageRequest(first=50),
        group=wanted.group, of=wanted.of, as_of=wanted.as_of,
    )  # fmt: skip
    assert len(page.rows) == int(leaf.inputs["events"])
    return page.rows


def _leaves(steps):
    for each in steps:
        if each.rule == "counted":
            yield each
        yield from _leaves(each.parts)


async def test_usage_counts_with_whom_one_belonged_to_when_it_happened(world):
    parent, other = await world.customer("holding"), await world.customer("other")
    eu = await child(world, "eu", parent)
    await world.subscribe("holding", family_usage=True)
    bought = await world.subscribe("other", family_usage=True)
    await world.use("eu", [(JAN, "10", "eu"), (JAN + 10 * DAY, "20", "eu"), (FEB, "40", "eu")])
    world.clock.at = JAN + 5 * DAY
    await subscriptions.update_customer(
        world.scope, eu.id, {"parent_id": other.id}, by=SYSTEM, at=JAN + 5 * DAY
    )
    # Ends with the period that is under way.
    after = await subscriptions.update(
        world.scope, bought.id, {"family_usage": False}, by=SYSTEM, at=JAN + 6 * DAY
    )
    assert after.families == (FamilyUsage(ends_at=FEB),)
    await bill(world, MAR)
    counted = {}
    for invoice in await invoices(world):
        for line in await usage_lines(world, invoice):
            if line.description == "Requests":
                counted[invoice.customer_id, line.service.start] = line.quantity
    assert counted == {
        (parent.id, JAN): D(10), (parent.id, FEB): D(0),
        (other.id, JAN): D(20), (other.id, FEB): D(0),
    }  # fmt: skip


SPAN = [
    Share("cus_1", "a", [Usage(D(3), 2, None, ("eu",)), Usage(D(5), 1, None, ("us",))]),
    Share("cus_2", "b", [Usage(D(1), 1, None, ("eu",))]),
]


@pytest.mark.parametrize("total", [True, False])
def test_lines_of_a_family_come_to_what_one_would_ask_for(total):
    sold = price(
        Graduated(TIERS), group_by=("region",),
        adjustments=Adjustments(minimum=D("0.07"), tiers_per="total" if total else "group"),
    )  # fmt: skip
    groups = Figures(D(4), 3, ("eu",)), Figures(D(5), 1, ("us",))
    whole = Figures(D(9), 4) if total else None
    one = fact(sold, *groups, whole=whole)
    shared = list(rate(replace(one, counted=replace(one.counted, shares=SPAN))))
    together = list(rate(one))
    assert [line.group for line in shared] == [
        {"region": "eu", "customer": "a"}, {"region": "eu", "customer": "b"},
        {"region": "us", "customer": "a"},
    ]  # fmt: skip
    assert sum(line.amount for line in shared) == sum(line.amount for line in together)
    for line in shared:
        assert explanation.evaluate(explanation.to_json(line.explanation)) == line.amount


def test_a_family_counts_from_the_next_period_on():
    on, split = FamilyUsage(), FamilyUsage(per_customer=True)
    assert family.changed((), on, None) == (on,)
    assert family.changed((on,), None, None) == ()
    ended = family.changed((on,), None, FEB)
    assert ended == (FamilyUsage(ends_at=FEB),)
    assert family.changed(ended, on, FEB) == (on,)
    assert family.changed((on,), split, FEB) == (
        FamilyUsage(ends_at=FEB), replace(split, starts_at=FEB),
    )  # fmt: skip
    with pytest.raises(Invalid) as refused:
        family.wanted(False, True)
    assert refused.value.code == "FAMILY_USAGE_REQUIRED"
