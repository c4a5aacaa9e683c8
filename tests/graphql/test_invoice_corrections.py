"""Corrections of billed usage through the graph."""

from datetime import timedelta

import pytest

from app.invoicing import actions
from app.invoicing.correction import CorrectionPolicy
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from tests.invoicing.test_billing import FEB, MAR, bill, invoices
from tests.invoicing.test_corrections import booked, correct, finalize, policy
from tests.invoicing.world import JAN

DAY = timedelta(days=1)
FIELDS = """id customerId subscriptionId invoiceId invoiceLineId policy status quantity reason
  description amount { amount currency } group { name value } serviceStart asOf
  invoice { id } applications { amount { amount } invoiceId creditNoteId }
  explanation { rule result eventCount events { totalCount nodes { quantity } } }"""


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


async def reviewed(world):
    """Two corrections of January in review."""
    await policy(world, "review")
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "100", "eu")])
    await bill(world, FEB)
    await finalize(world, FEB)
    await world.use("acme", [(JAN + DAY, "10", "eu")], accepted=FEB + DAY)
    await correct(world, FEB + 2 * DAY)
    return await booked(world)


async def test_corrections_are_listed_accepted_and_dismissed(ask, world):
    requests, traffic = await reviewed(world)
    query = f"""query ($f: InvoiceCorrectionFilter) {{
      invoiceCorrections(filter: $f, orderBy: {{field: AMOUNT, direction: DESC}}) {{
        totalCount nodes {{ {FIELDS} }} }} }}"""
    found = (await ask(query, {"f": {"status": {"eq": "REVIEW"}}}))["invoiceCorrections"]
    assert found["totalCount"] == 2
    first = found["nodes"][0]
    assert (first["id"], first["description"], first["quantity"]) == (
        requests.id, "Requests", "10",
    )  # fmt: skip
    assert first["amount"] == {"amount": "4", "currency": "USD"}
    assert (first["policy"], first["status"]) == ("REVIEW", "REVIEW")
    assert first["invoice"]["id"] == first["invoiceId"] == requests.invoice_id
    counted = [s for s in first["explanation"] if s["eventCount"] is not None]
    assert [(s["eventCount"], s["events"]["totalCount"]) for s in counted] == [(2, 2)]
    accept = f"""mutation ($i: InvoiceCorrectionAcceptInput!) {{
      invoiceCorrectionAccept(input: $i) {{
        ... on InvoiceCorrection {{ {FIELDS} }} ... on Problem {{ code field }} }} }}"""
    taken = (await ask(accept, {"i": {"id": requests.id}}))["invoiceCorrectionAccept"]
    assert (taken["status"], taken["policy"]) == ("OPEN", "NEXT_INVOICE")
    again = (await ask(accept, {"i": {"id": requests.id}}))["invoiceCorrectionAccept"]
    assert again == {"code": "CORRECTION_DECIDED", "field": "id"}
    wrong = await ask(accept, {"i": {"id": traffic.id, "policy": "REVIEW"}})
    assert wrong["invoiceCorrectionAccept"] == {"code": "INVALID_POLICY", "field": "policy"}
    dismiss = f"""mutation ($i: InvoiceCorrectionDismissInput!) {{
      invoiceCorrectionDismiss(input: $i) {{
        ... on InvoiceCorrection {{ {FIELDS} }} ... on Problem {{ code field }} }} }}"""
    left = await ask(dismiss, {"i": {"id": traffic.id, "reason": "a trifle"}})
    assert left["invoiceCorrectionDismiss"]["reason"] == "a trifle"
    gone = await ask(dismiss, {"i": {"id": new_id("icor"), "reason": "x"}})
    assert gone["invoiceCorrectionDismiss"] == {"code": "NOT_FOUND", "field": "id"}


async def test_an_adjustment_says_which_correction_it_bills(ask, world):
    requests, _ = await reviewed(world)
    await actions.accept_correction(
        world.scope, requests.id, CorrectionPolicy.NEXT_INVOICE, by=SYSTEM, at=FEB + 2 * DAY
    )
    await bill(world, MAR)
    march = (await invoices(world))[-1]
    text = f"""query ($id: ID!, $c: ID!) {{ invoice(id: $id) {{ lines {{ kind correctionId
      amount {{ amount }} explanation {{ rule eventCount events {{ totalCount }} }} }} }}
      node(id: $c) {{ ... on InvoiceCorrection {{ {FIELDS} }} }} }}"""
    data = await ask(text, {"id": march.id, "c": requests.id})
    (line,) = (each for each in data["invoice"]["lines"] if each["kind"] == "ADJUSTMENT")
    assert (line["correctionId"], line["amount"]["amount"]) == (requests.id, "4")
    assert [step["rule"] for step in line["explanation"]][:2] == ["line", "corrected"]
    counted = [s for s in line["explanation"] if s["eventCount"] is not None]
    assert [(s["eventCount"], s["events"]["totalCount"]) for s in counted] == [(2, 2)]
    assert data["node"]["applications"] == [
        {"amount": {"amount": "4"}, "invoiceId": march.id, "creditNoteId": None}
    ]


async def test_the_policy_and_the_interval_are_settings(ask, world):
    text = """mutation ($i: SettingsUpdateInput!) { settingsUpdate(input: $i) {
      ... on EnvironmentSettings { corrections { policy intervalHours } }
      ... on Problem { code field } } }"""
    changes = {"policy": "CREDIT_OR_DEBIT_NOTE", "intervalHours": 2}
    answer = await ask(text, {"i": {"corrections": changes}})
    assert answer["settingsUpdate"] == {"corrections": changes}
    wrong = await ask(text, {"i": {"corrections": {"intervalHours": 0}}})
    assert wrong["settingsUpdate"]["code"] == "INVALID_SETTING"
