"""Consolidated invoices in the graph: each leads to the other."""

import pytest

from app.invoicing import billing
from tests.invoicing.test_billing import bill
from tests.invoicing.world import JAN, set_up

LIST = """query ($f: InvoiceFilter) { invoices(filter: $f) { nodes {
  id status subscriptionId subscriptionIds consolidatedIntoId
  consolidatedInto { id number } consolidates { id status }
  lines { subscriptionId } } } }"""


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


async def test_a_whole_lists_its_parts_and_they_lead_to_it(ask, world):
    await set_up(world, consolidate=True)
    bought = [(await world.subscribe("acme")).id for _ in range(2)]
    await bill(world, JAN)
    await billing.finalize_page(world.services, world.page())
    (whole,) = (await ask(LIST, {"f": {"status": {"eq": "FINALIZED"}}}))["invoices"]["nodes"]
    assert (whole["subscriptionId"], whole["subscriptionIds"]) == (None, bought)
    assert [line["subscriptionId"] for line in whole["lines"]] == bought
    found = (await ask(LIST, {"f": {"consolidatedIntoId": {"eq": whole["id"]}}}))["invoices"]
    assert {part["id"] for part in found["nodes"]} == {p["id"] for p in whole["consolidates"]}
    assert {part["subscriptionId"] for part in found["nodes"]} == set(bought)
    for part in found["nodes"]:
        assert part["status"] == "CONSOLIDATED"
        assert part["consolidatedInto"]["id"] == part["consolidatedIntoId"] == whole["id"]
        assert part["lines"] == []
    refused = await ask(
        """mutation ($i: InvoiceVoidInput!) { invoiceVoid(input: $i) {
          ... on Problem { code field } } }""",
        {"i": {"id": found["nodes"][0]["id"], "reason": "no"}},
    )
    assert refused["invoiceVoid"] == {"code": "INVOICE_CONSOLIDATED", "field": "id"}
