"""Amounts explained down to the very events that were counted, for good."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.catalog.actions import plans, prices
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.prices import Matrix, MatrixRow, PerUnit
from app.catalog.reads import features
from app.invoicing import actions
from app.invoicing.rating import ENGINE_VERSION
from app.kernel.ids import new_id
from app.kernel.listing import PageRequest
from app.kernel.scope import SYSTEM
from app.metering.filters import Match
from tests.invoicing.test_billing import FEB, draft_due, invoices
from tests.invoicing.world import JAN

DAY = timedelta(days=1)
LINES = """query ($id: ID!, $after: String) { invoice(id: $id) { usageWatermark lines {
  group { name value } explanation { rule result inputs eventCount
    events(first: 2, after: $after) { totalCount pageInfo { hasNextPage endCursor }
      nodes { eventId quantity version externalCustomerId } } } } } }"""


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


async def counted(ask, invoice_id):
    """Every step that counted, with all of its events."""
    found = []
    data = (await ask(LINES, {"id": invoice_id}))["invoice"]
    for line in data["lines"]:
        for step in line["explanation"]:
            assert (step["events"] is None) == (step["rule"] != "counted")
            if step["events"] is not None:
                found.append((line["group"], step))
    return found


async def test_the_events_behind_a_line_add_up_to_it_whatever_comes_later(ask, world):
    await world.subscribe("acme")
    first, second, third = await world.use(
        "acme", [(JAN, "120", "eu"), (JAN + DAY, "5", "us"), (JAN + 2 * DAY, "1", "eu")]
    )
    await draft_due(world, FEB)
    cycle = (await invoices(world))[-1]
    await actions.finalize(world.scope, cycle.id, by=SYSTEM, at=FEB)
    before = await counted(ask, cycle.id)
    await world.use("acme", [(JAN + 3 * DAY, "1000", "us")], accepted=FEB + DAY)
    await world.void(first, FEB + DAY)
    await world.amend(second, FEB + DAY, "77", "eu")
    after = await counted(ask, cycle.id)
    assert after == before
    assert [
        ([value["value"] for value in group], step["result"], step["eventCount"])
        for group, step in after
    ] == [([], "126", 3), (["eu"], "121", 2), (["us"], "5", 1)]
    for _, step in after:
        page = step["events"]
        assert page["totalCount"] == step["eventCount"]
        rest = await _rest(ask, cycle.id, step) if page["pageInfo"]["hasNextPage"] else []
        nodes = [*page["nodes"], *rest]
        assert sum(Decimal(node["quantity"]) for node in nodes) == Decimal(step["result"])
    assert [node["eventId"] for node in after[0][1]["events"]["nodes"]] == [first, second]
    assert await _rest(ask, cycle.id, after[0][1]) == [
        {"eventId": third, "quantity": "1", "version": 1, "externalCustomerId": "acme"}
    ]


async def _rest(ask, invoice_id, step):
    cursor = step["events"]["pageInfo"]["endCursor"]
    data = await ask(LINES, {"id": invoice_id, "after": cursor})
    lines = [s for line in data["invoice"]["lines"] for s in line["explanation"]]
    (same,) = (s for s in lines if s["inputs"] == step["inputs"] and s["events"] is not None)
    assert not same["events"]["pageInfo"]["hasNextPage"]
    return same["events"]["nodes"]


async def test_a_row_of_a_matrix_has_the_events_that_belong_to_it_first(ask, world):
    how = {"by": SYSTEM, "at": JAN}
    plan = await plans.create(world.scope, CreatePlan(name="Table", lookup_key="table"), **how)
    feature = (await features.page(world.scope, PageRequest(first=1))).rows[0]
    rows = (
        MatrixRow((Match("region", ("eu", "us")),), PerUnit(Decimal(2))),
        MatrixRow((Match("region", ("us", "jp")),), PerUnit(Decimal(3))),
    )
    model = Matrix(rows, PerUnit(Decimal(1)), line_per_row=True)
    command = CreatePrice(
        plan_id=plan.id, display_name="Calls", charge=ChargeKind.USAGE, model=model,
        currency="USD", feature_id=feature.id,
    )  # fmt: skip
    await prices.create(world.scope, command, **how)
    await world.subscribe("acme", plan_id=plan.id)
    used = [("1", "eu"), ("2", "us"), ("4", "jp"), ("8", "in"), ("16", "br")]
    ids = await world.use("acme", [(JAN + DAY, *each) for each in used])
    await draft_due(world, FEB)
    cycle = (await invoices(world))[-1]
    found = {
        step["inputs"]["row"]: {node["eventId"] for node in step["events"]["nodes"]}
        for _, step in await counted(ask, cycle.id)
    }
    assert found == {"1": set(ids[:2]), "2": {ids[2]}, "default": set(ids[3:])}


async def test_events_behind_a_preview_are_those_of_now_and_a_quote_has_none(ask, world):
    bought = await world.subscribe("acme")
    await draft_due(world, JAN)
    await world.use("acme", [(JAN + DAY, "3", "eu")])
    text = """query ($id: ID!) { invoicePreview(subscriptionId: $id) { ... on InvoicePreview {
      lines { explanation { eventCount events { nodes { quantity } } } } } } }"""
    shown = (await ask(text, {"id": bought.id}))["invoicePreview"]["lines"]
    steps = [step for line in shown for step in line["explanation"] if step["events"]]
    assert [(step["eventCount"], step["events"]["nodes"]) for step in steps] == [
        (1, [{"quantity": "3"}]), (1, [{"quantity": "3"}]),
    ]  # fmt: skip
    quote = """{ priceQuote(price: {terms: {currency: "USD", model: {perUnit: {unitAmount: "2"}}}},
      usage: {quantity: "3"}) { ... on PriceQuote {
        explanation { eventCount events { totalCount } } } ... on Problem { code message } } }"""
    (answer,) = (await ask(quote)).values()
    assert {(s["eventCount"], s["events"]) for s in answer["explanation"]} == {(None, None)}


async def test_events_take_the_permission_to_read_usage(ask, world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN + DAY, "3", "eu")])
    await draft_due(world, FEB)
    cycle = (await invoices(world))[-1]
    text = (
        "query ($id: ID!) { invoice(id: $id) { lines { explanation { events { totalCount } } } } }"
    )
    answer = await ask(
        text, {"id": cycle.id}, permissions=frozenset({"invoice:read"}), refused=True
    )
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_an_invoice_is_replayed_through_the_graph(ask, world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "3", "eu")])
    await draft_due(world, FEB)
    cycle = (await invoices(world))[-1]
    text = """query ($id: ID!) { invoiceReplay(id: $id) {
      ... on InvoiceReplay { identical versions { name stored present same }
        differences { path stored replayed } } ... on Problem { code } } }"""
    found = (await ask(text, {"id": cycle.id}))["invoiceReplay"]
    assert (found["identical"], found["differences"]) == (True, [])
    assert found["versions"][0] == {
        "name": "engine", "stored": ENGINE_VERSION, "present": ENGINE_VERSION, "same": True,
    }  # fmt: skip
    await world.use("acme", [(JAN, "1", "eu")])
    found = (await ask(text, {"id": cycle.id}))["invoiceReplay"]
    assert {"path": "lines[1].quantity", "stored": "3", "replayed": "4"} in found["differences"]
    gone = (await ask(text, {"id": new_id("inv")}))["invoiceReplay"]
    assert gone == {"code": "NOT_FOUND"}
