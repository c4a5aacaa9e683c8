"""Credit notes in the graph, and as files."""

import httpx
import orjson
import pytest

from app.invoicing import credit_reads
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import Scope
from app.modes.probes import application
from app.rest.downloads import DownloadDoor
from app.tenants.authentication import open_authenticator
from tests.graphql.test_invoicing import key
from tests.invoicing.test_billing import everything
from tests.invoicing.test_pdf import words_of
from tests.tenants import make

NOTE = """
    id number status kind reason memo key invoiceId customerId total { amount currency }
    amount { amount } discount { amount } tax { amount } adjusted { amount } balance { amount }
    refundStatus metadata voidReason billTo { name }
    lines { invoiceLineId position description amount { amount } total { amount } }
    applications { kind amount { amount } invoiceId }
    invoice { number amountRemaining { amount } } customer { name }
"""
FEE = {"description": "Fee", "unitAmount": "60"}


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


@pytest.fixture
def do(ask):
    async def run(verb, result, selection, **given):
        input_ = verb[0].upper() + verb[1:] + "Input"
        text = f"""mutation ($i: {input_}!) {{ {verb}(input: $i) {{
          ... on {result} {{ {selection} }} ... on Problem {{ code field message }} }} }}"""
        return (await ask(text, {"i": given}))[verb]

    return run


@pytest.fixture
def bill(do, world):
    async def run(*lines):
        customer = await world.customer("acme")
        return await do(
            "invoiceCreate", "Invoice", "id number creditsApplied { amount { amount } } "
            "lines { id } totals: total { amount } credited { amount } amountDue { amount }",
            customerId=customer.id, lines=list(lines or (FEE, FEE)), finalize=True,
        )  # fmt: skip

    return run


@pytest.fixture
def credit(do):
    async def run(invoice, **given):
        asked = {"invoiceId": invoice["id"], "reason": "BILLING_ERROR", **given}
        return await do("creditNoteCreate", "CreditNote", NOTE, **asked)

    return run


async def test_a_credit_note_is_issued_read_and_spent(ask, bill, credit):
    invoice = await bill()
    line = invoice["lines"][0]["id"]
    note = await credit(
        invoice, lines=[{"lineId": line, "amount": "25.5"}], kind="CREDIT", memo="Sorry", key="c-1",
        metadata={"a": "b"},
    )  # fmt: skip
    assert (note["number"], note["status"], note["kind"], note["reason"]) == (
        "CN-202501-00001", "ISSUED", "CREDIT", "BILLING_ERROR",
    )  # fmt: skip
    assert (note["total"], note["balance"]["amount"]) == (
        {"amount": "25.5", "currency": "USD"}, "25.5",
    )  # fmt: skip
    assert note["lines"] == [{
        "invoiceLineId": line, "position": 1, "description": "Fee",
        "amount": {"amount": "25.5"}, "total": {"amount": "25.5"},
    }]  # fmt: skip
    assert (note["invoice"]["number"], note["customer"]["name"]) == (invoice["number"], "Acme")
    next_ = await bill(FEE)
    assert (next_["credited"]["amount"], next_["amountDue"]["amount"]) == ("25.5", "34.5")
    assert next_["creditsApplied"] == [{"amount": {"amount": "25.5"}}]
    query = f"""query ($id: ID!) {{ creditNote(id: $id) {{ {NOTE} }}
      node(id: $id) {{ __typename id }} }}"""
    found = await ask(query, {"id": note["id"]})
    assert found["node"] == {"__typename": "CreditNote", "id": note["id"]}
    assert found["creditNote"]["balance"] == {"amount": "0"}
    assert found["creditNote"]["applications"] == [
        {"kind": "INVOICE", "amount": {"amount": "25.5"}, "invoiceId": next_["id"]},
    ]
    stranger = Scope(new_id("ten"), new_id("env"))
    assert await ask(query, {"id": note["id"]}, scope=stranger) == {
        "creditNote": None, "node": None,
    }  # fmt: skip
    taken = await credit(invoice, key="c-1")
    assert (taken["code"], taken["field"]) == ("ALREADY_EXISTS", "key")


async def test_credit_notes_are_listed_and_found_from_invoices_and_customers(ask, bill, credit):
    first, second = await bill(), await bill()
    line = first["lines"][0]["id"]
    kept = await credit(first, lines=[{"lineId": line}], kind="CREDIT", memo="Wrong seat count")
    adjusted = await credit(second)
    query = """query ($filter: CreditNoteFilter, $search: String) {
      creditNotes(filter: $filter, search: $search, orderBy: {field: NUMBER}) {
        nodes { id } totalCount } }"""

    async def found(search=None, **filter_):
        page = await ask(query, {"filter": filter_ or None, "search": search})
        return [node["id"] for node in page["creditNotes"]["nodes"]]

    assert await found() == [kept["id"], adjusted["id"]]
    assert await found(kind={"eq": "ADJUSTMENT"}) == [adjusted["id"]]
    assert await found(balance={"gt": "0"}) == [kept["id"]]
    assert await found(invoiceId={"eq": second["id"]}) == [adjusted["id"]]
    assert await found(search="SEAT wrong") == [kept["id"]]
    data = await ask(
        """query ($id: ID!) { invoice(id: $id) { creditNotes { id } }
          customers { nodes { creditNotes(first: 1) { nodes { id } pageInfo { hasNextPage } } } }
        }""",
        {"id": first["id"]},
    )
    assert data["invoice"]["creditNotes"] == [{"id": kept["id"]}]
    (customer,) = data["customers"]["nodes"]
    assert customer["creditNotes"] == {
        "nodes": [{"id": adjusted["id"]}], "pageInfo": {"hasNextPage": True},
    }  # fmt: skip


async def test_lines_and_accounts_of_many_cost_one_statement_each(ask, bill, credit, monkeypatch):
    for _ in range(3):
        await credit(await bill(), kind="CREDIT")
    counted = []
    for name in ("lines_of_notes", "applications_of_notes"):
        batch = getattr(credit_reads, name)

        async def counting(scope, ids, batch=batch, name=name):
            counted.append((name, len(ids)))
            return await batch(scope, ids)

        monkeypatch.setattr(credit_reads, name, counting)
    await ask("{ creditNotes { nodes { lines { id } applications { id } } } }")
    assert sorted(counted) == [("applications_of_notes", 3), ("lines_of_notes", 3)]


async def test_a_refusal_is_data_and_changes_nothing(do, bill, credit, world):
    invoice = await bill()
    line = invoice["lines"][0]["id"]
    note = await credit(invoice, lines=[{"lineId": line}], kind="CREDIT")
    await bill(FEE)  # spends it
    before = await everything(world)
    for given, code, field in (
        ({"lines": [{"lineId": line, "amount": "1"}]}, "BEYOND_LINE", "lines[0].amount"),
        ({"lines": [{"lineId": new_id("invl")}]}, "NOT_FOUND", "lines[0].lineId"),
        ({"kind": "REFUND"}, "BEYOND_PAID", "kind"),
        ({"memo": " "}, "INVALID_MEMO", "memo"),
        ({"invoiceId": new_id("inv")}, "NOT_FOUND", "invoiceId"),
    ):
        refused = await credit(invoice, **given)
        assert (refused["code"], refused["field"]) == (code, field)
    spent = await do("creditNoteVoid", "CreditNote", "id", id=note["id"], reason="x")
    assert spent["code"] == "CREDIT_NOTE_USED"
    for verb, given in (("creditNoteVoid", {"reason": "x"}), ("creditNoteUpdate", {})):
        unknown = await do(verb, "CreditNote", "id", id=new_id("crn"), **given)
        assert unknown["code"] == "NOT_FOUND"
    assert await everything(world) == before


async def test_a_note_is_noted_on_and_taken_back(do, bill, credit):
    note = await credit(await bill())
    noted = await do("creditNoteUpdate", "CreditNote", NOTE, id=note["id"], metadata={"x": "y"})
    assert noted["metadata"] == {"x": "y"}
    gone = await do("creditNoteVoid", "CreditNote", NOTE, id=note["id"], reason="mistaken")
    assert (gone["status"], gone["voidReason"], gone["balance"]) == (
        "VOID", "mistaken", {"amount": "0"},
    )  # fmt: skip
    assert gone["invoice"]["amountRemaining"] == {"amount": "120"}


@pytest.mark.parametrize(
    "text",
    [
        "{ creditNotes { nodes { id } } }",
        '{ creditNote(id: "crn_1") { id } }',
        'mutation { creditNoteVoid(input: {id: "crn_1", reason: "x"}) { __typename } }',
    ],
)
async def test_without_permission_nothing_is_said(ask, text):
    answer = await ask(text, permissions=frozenset({"invoice:read"}), refused=True)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.fixture
async def client(runtime, settings, world):
    async with open_authenticator(settings, world.clock) as authenticator:
        app = application(runtime, list(DownloadDoor(runtime, authenticator).routes()))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tariff.test") as client:
            yield client


async def test_a_credit_note_is_downloaded_and_linked_to(client, world, ask, do, bill, credit):
    invoice = await bill()
    note = await credit(invoice, lines=[{"lineId": invoice["lines"][1]["id"]}], memo="Sorry!")
    headers = await key(world, "credit_note:read")
    path = f"/v1/credit_notes/{note['id']}"
    answer = await client.get(f"{path}/pdf", headers=headers)
    assert answer.headers["content-disposition"] == 'inline; filename="CN-202501-00001.pdf"'
    text = words_of(answer.content)
    for part in (
        "Credit note CN-202501-00001", "For invoice INV-202501-00001", "Fee $60.00",
        "error in the bill", "taken off the invoice", "Credit $60.00 USD", "Sorry!", "Acme",
    ):  # fmt: skip
        assert part in text, part
    again = await client.get(f"{path}/pdf", headers=headers)
    assert again.content == answer.content
    compact = await client.get(f"{path}/pdf", params={"layout": "compact"}, headers=headers)
    assert "Credit note CN-202501-00001" in words_of(compact.content)
    found = orjson.loads((await client.get(f"{path}/json", headers=headers)).content)
    assert (found["number"], found["total"], found["invoice_number"]) == (
        "CN-202501-00001", "60", "INV-202501-00001",
    )  # fmt: skip
    assert [(line["description"], line["total"]) for line in found["lines"]] == [("Fee", "60")]

    unknown = await client.get(f"{path}/ubl", headers=headers)
    assert (unknown.status_code, unknown.json()["code"]) == (409, "E_INVOICE_UNSUPPORTED")

    query = "query ($id: ID!) { creditNote(id: $id) { fileUrl(kind: PDF) } }"
    url = (await ask(query, {"id": note["id"]}))["creditNote"]["fileUrl"]
    async with httpx.AsyncClient() as outside:
        assert (await outside.get(url)).content == answer.content
    await do("creditNoteVoid", "CreditNote", "id", id=note["id"], reason="mistaken")
    assert (await ask(query, {"id": note["id"]}))["creditNote"]["fileUrl"] is None
    void = words_of((await client.get(f"{path}/pdf", headers=headers)).content)
    assert "VOID" in void
    assert "mistaken" in void


async def test_a_stranger_downloads_no_credit_note(client, world, bill, credit):
    path = f"/v1/credit_notes/{(await credit(await bill()))['id']}/pdf"
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=await key(world, "invoice:read"))).status_code == 403
    other = make.production(await make.tenant(world.clock))
    foreign = await key(replace(world, scope=other), "credit_note:read")
    own = await key(world, "credit_note:read")
    for missing, headers in (
        (path, foreign), (f"/v1/credit_notes/{new_id('crn')}/pdf", own),
        (f"/v1/credit_notes/{new_id('inv')}/json", own), ("/v1/credit_notes/%00/pdf", own),
    ):  # fmt: skip
        answer = await client.get(missing, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
