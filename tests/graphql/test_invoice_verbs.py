"""What is done with invoices by hand, in the graph."""

import base64

import httpx
import pytest

from app.invoicing import actions, reads
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from tests.invoicing.test_billing import MAR, draft_due, everything, invoices
from tests.invoicing.test_files import png
from tests.invoicing.world import JAN

INVOICE = """
    id status reason number total { amount } amountRemaining { amount currency } paymentStatus
    key memo purchaseOrder edited dueAt replacesId replacedById replaces { id } replacedBy { id }
    settlements { kind amount { amount } reason sourceId }
    uncollectibleAt uncollectibleReason
    lines { id kind description section quantity amount { amount } serviceStart serviceEnd
            explanation { rule result } }
"""
MID = "2025-01-20T00:00:00Z"
SETUP = {"description": "Setup", "unitAmount": "99.995", "quantity": "3", "section": "Work"}


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


@pytest.fixture
def do(ask):
    async def run(verb, **given):
        input_ = verb[0].upper() + verb[1:] + "Input"
        problem = "... on Problem { code field message }"
        taken = "... on AlreadyExists { value }" if verb == "invoiceCreate" else ""
        text = f"""mutation ($i: {input_}!) {{ {verb}(input: $i) {{
          ... on Invoice {{ {INVOICE} }} {problem} {taken} }} }}"""
        return (await ask(text, {"i": given}))[verb]

    return run


async def test_an_invoice_is_written_by_hand_edited_and_issued(ask, do, world):
    customer = await world.customer("acme")
    made = await do(
        "invoiceCreate", customerId=customer.id, lines=[SETUP], key="deal-1", memo="Hi",
        purchaseOrder="PO-1", metadata={"a": "b"},
    )  # fmt: skip
    assert (made["status"], made["reason"], made["key"]) == ("DRAFT", "ONE_OFF", "deal-1")
    (line,) = made["lines"]
    assert (line["kind"], line["section"], line["amount"]) == (
        "MANUAL", "Work", {"amount": "299.99"},
    )  # fmt: skip
    assert [step["rule"] for step in line["explanation"]] == ["line", "per_unit", "stated"]
    taken = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], key="deal-1")
    assert (taken["code"], taken["field"], taken["value"]) == ("ALREADY_EXISTS", "key", "deal-1")
    after = await do(
        "invoiceUpdate", id=made["id"], memo=None, dueAt="2025-02-01T00:00:00Z",
        addLines=[{"description": "Extra", "unitAmount": "1"}],
        changeLines=[{"id": line["id"], "quantity": "1", "section": None}],
    )  # fmt: skip
    assert (after["memo"], after["purchaseOrder"], after["edited"]) == (None, "PO-1", True)
    assert [(li["description"], li["quantity"], li["section"]) for li in after["lines"]] == [
        ("Setup", "1", None), ("Extra", "1", None),
    ]  # fmt: skip
    assert after["total"] == {"amount": "101"}
    refused = await do("invoiceUpdate", id=made["id"], removeLines=[new_id("invl")])
    assert (refused["code"], refused["field"]) == ("NOT_FOUND", "removeLines[0]")
    issued = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True)
    assert (issued["status"], issued["number"]) == ("FINALIZED", "INV-202501-00001")


async def test_an_invoice_is_reissued_and_written_off(do, world):
    customer = await world.customer("acme")
    issued = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True)
    new = await do("invoiceReissue", id=issued["id"], reason="a typo")
    assert (new["status"], new["replacesId"], new["replaces"]) == (
        "DRAFT", issued["id"], {"id": issued["id"]},
    )  # fmt: skip
    again = await do("invoiceReissue", id=issued["id"], reason="a typo")
    assert again["code"] == "INVOICE_ALREADY_REPLACED"
    issued = await do("invoiceFinalize", id=new["id"])
    assert (issued["paymentStatus"], issued["amountRemaining"]["amount"]) == ("OPEN", "299.99")
    gone = await do("invoiceWriteOff", id=new["id"], reason="bankrupt")
    assert (gone["paymentStatus"], gone["amountRemaining"]["amount"]) == ("UNCOLLECTIBLE", "0")
    assert gone["uncollectibleReason"] == "bankrupt"
    (entry,) = gone["settlements"]
    assert (entry["kind"], entry["amount"], entry["reason"]) == (
        "WRITE_OFF", {"amount": "299.99"}, "bankrupt",
    )  # fmt: skip
    back = await do("invoiceWriteOffReverse", id=new["id"], reason="paid after all")
    assert (back["paymentStatus"], back["amountRemaining"]["amount"]) == ("OPEN", "299.99")
    assert back["settlements"][1]["amount"] == {"amount": "-299.99"}


@pytest.mark.parametrize(
    ("verb", "given", "code"),
    [
        ("invoiceUpdate", {"memo": "x"}, "INVOICE_NOT_DRAFT"),
        ("invoiceUpdate", {"addLines": [SETUP]}, "INVOICE_NOT_DRAFT"),
        ("invoiceUpdate", {"dueAt": "2024-01-01T00:00:00Z"}, "INVALID_DUE_AT"),
        ("invoiceWriteOff", {"reason": " "}, "INVALID_REASON"),
        ("invoiceWriteOffReverse", {"reason": "x"}, "NOT_WRITTEN_OFF"),
        ("invoiceReissue", {"reason": ""}, "INVALID_REASON"),
    ],
)
async def test_a_refusal_is_data_and_changes_nothing(do, world, verb, given, code):
    customer = await world.customer("acme")
    issued = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True)
    before = await everything(world)
    assert (await do(verb, id=issued["id"], **given))["code"] == code
    unknown = {"reason": "x"} if "reason" in given else given
    assert (await do(verb, id=new_id("inv"), **unknown))["code"] == "NOT_FOUND"
    assert await everything(world) == before


async def test_invoices_are_found_by_how_they_stand(ask, do, world):
    customer = await world.customer("acme")
    await world.subscribe("beta")
    await draft_due(world, JAN)
    (opening,) = await invoices(world)
    late = await do(
        "invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True,
        dueAt="2025-01-10T00:00:00Z", purchaseOrder="Auftrag 77", key="k-1",
    )  # fmt: skip
    soon = await actions.finalize(world.scope, opening.id, by=SYSTEM, at=JAN)
    gone = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True)
    await do("invoiceWriteOff", id=gone["id"], reason="x")
    query = """query ($filter: InvoiceFilter, $search: String) {
      invoices(filter: $filter, search: $search, orderBy: {field: NUMBER}) { nodes { id } } }"""

    async def found(search=None, **filter_):
        asked = {"filter": filter_ or None, "search": search}
        return [node["id"] for node in (await ask(query, asked))["invoices"]["nodes"]]

    assert await found(overdue={"at": MID}) == [late["id"]]
    assert await found(overdue={"at": MAR.isoformat()}) == [late["id"], soon.id]
    assert await found(**{"not": {"overdue": {"at": MID}}}) == [soon.id, gone["id"]]
    assert await found(paymentStatus={"eq": "UNCOLLECTIBLE"}) == [gone["id"]]
    assert await found(amountRemaining={"gt": "100"}) == [late["id"]]
    assert await found(purchaseOrder={"startsWith": "auftrag"}) == [late["id"]]
    assert await found(key={"eq": "k-1"}) == [late["id"]]
    assert await found(search="77 AUFTRAG") == [late["id"]]
    assert await found(search=soon.number) == [soon.id]
    assert await found(customerId={"eq": customer.id}, status={"eq": "DRAFT"}) == []


async def test_an_invoice_is_linked_to_as_a_file_of_any_kind(ask, do, world):
    customer = await world.customer("acme")
    issued = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True)
    waiting = await do("invoiceCreate", customerId=customer.id, lines=[SETUP])
    query = """query ($id: ID!) { invoice(id: $id) {
      pdf: fileUrl(kind: PDF) compact: fileUrl(kind: PDF, layout: COMPACT)
      csv: fileUrl(kind: CSV) json: fileUrl(kind: JSON) pdfUrl } }"""
    found = (await ask(query, {"id": issued["id"]}))["invoice"]
    assert found["compact"].split("?")[0] != found["pdf"].split("?")[0]
    assert found["pdfUrl"].split("?")[0] == found["pdf"].split("?")[0]
    async with httpx.AsyncClient() as client:
        for kind, start in (("pdf", b"%PDF"), ("compact", b"%PDF"), ("csv", b"invoice_number"),
                            ("json", b"{")):  # fmt: skip
            assert (await client.get(found[kind])).content.startswith(start)
    absent = (await ask(query, {"id": waiting["id"]}))["invoice"]
    assert set(absent.values()) == {None}


async def test_the_logo_of_the_seller_is_set_and_taken_away(ask):
    text = """mutation ($i: SellerLogoSetInput!) { sellerLogoSet(input: $i) {
      ... on EnvironmentSettings { documents { hasLogo } } ... on Problem { code field } } }"""
    for image, has in ((base64.b64encode(png()).decode(), True), (None, False)):
        answer = await ask(text, {"i": {"image": image}})
        assert answer["sellerLogoSet"] == {"documents": {"hasLogo": has}}
    for image in ("no base64!", base64.b64encode(b"GIF89a").decode()):
        answer = await ask(text, {"i": {"image": image}})
        assert answer["sellerLogoSet"] == {"code": "INVALID_IMAGE", "field": "image"}


async def test_accounts_of_many_invoices_cost_one_statement(ask, do, world, monkeypatch):
    customer = await world.customer("acme")
    for _ in range(3):
        made = await do("invoiceCreate", customerId=customer.id, lines=[SETUP], finalize=True)
        await do("invoiceWriteOff", id=made["id"], reason="x")
    counted = []
    batch = reads.settlements_of_invoices

    async def counting(scope, ids):
        counted.append(len(ids))
        return await batch(scope, ids)

    monkeypatch.setattr(reads, "settlements_of_invoices", counting)
    data = await ask("{ invoices { nodes { settlements { id } replaces { id } } } }")
    assert [len(node["settlements"]) for node in data["invoices"]["nodes"]] == [1, 1, 1]
    assert counted == [3]
