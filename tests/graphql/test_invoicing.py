"""Invoices through the graph, and their PDFs over REST."""

from datetime import timedelta

import httpx
import pytest

from app.catalog.reads import prices as price_reads
from app.invoicing import actions, reads
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.modes.probes import application
from app.rest.downloads import DownloadDoor
from app.tenants.authentication import open_authenticator
from tests.invoicing.test_billing import APR, FEB, draft_due, everything, invoices
from tests.invoicing.test_pdf import text_of
from tests.invoicing.world import JAN
from tests.runs.test_workflows import working
from tests.tenants import make

LINE = """
    position kind description group { name value } quantity amount { amount currency }
    serviceStart serviceEnd priceId meterId subscriptionLineItemId priceSnapshot
    explanation { index parent rule formula result inputs }
"""
INVOICE = f"""
    id number customerId subscriptionId status reason periodStart periodEnd timezone
    subtotal {{ amount currency }} total {{ amount }} amountDue {{ amount }} issuedAt dueAt
    finalizedAt voidedAt voidReason seller {{ name }} billTo {{ name lines reference }}
    engineVersion usageWatermark metadata pdfUrl customer {{ name }} subscription {{ status }}
    lines {{ id invoiceId {LINE} }}
"""


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


async def billed(world):
    """An opening and a cycle invoice, both drafts."""
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu"), (JAN, "5", "us")])
    await draft_due(world, FEB)
    return await invoices(world)


async def test_an_invoice_shows_its_lines_and_explains_each_amount(ask, world):
    _, cycle = await billed(world)
    await ask("mutation ($i: InvoiceFinalizeInput!) { invoiceFinalize(input: $i) { __typename } }",
              {"i": {"id": cycle.id}})  # fmt: skip
    data = await ask(f"query ($id: ID!) {{ invoice(id: $id) {{ {INVOICE} }} }}", {"id": cycle.id})
    found = data["invoice"]
    assert found["number"] == "INV-202502-00001"
    assert (found["status"], found["reason"]) == ("FINALIZED", "SUBSCRIPTION_CYCLE")
    assert found["total"] == {"amount": "75.63"}  # 20 + 50 + 2.5 + 3 + 0.12 + 0.005
    assert found["subtotal"] == {"amount": "75.63", "currency": "USD"}
    assert found["billTo"] == {
        "name": "Acme", "lines": ["1 Main St", "10115 Berlin", "Germany"], "reference": "acme",
    }  # fmt: skip
    assert found["customer"] == {"name": "Acme"}
    assert found["subscription"] == {"status": "ACTIVE"}
    async with httpx.AsyncClient() as client:
        response = await client.get(found["pdfUrl"])
    assert "INV-202502-00001" in text_of(response.content)
    _, requests, _, traffic = found["lines"]
    assert traffic["group"] == [{"name": "region", "value": "us"}]
    assert traffic["amount"] == {"amount": "0.01", "currency": "USD"}
    assert requests["priceSnapshot"]["model"]["model"] == "graduated"
    steps = [(s["index"], s["parent"], s["rule"], s["result"]) for s in requests["explanation"]]
    assert steps == [
        (0, None, "line", "55.5"),
        (1, 0, "graduated", "55.5"),
        (2, 1, "tier", "50"),
        (3, 1, "tier", "5.5"),
        (4, 0, "counted", "125"),
    ]
    assert "rounded once" in requests["explanation"][0]["formula"]
    assert requests["explanation"][4]["inputs"]["events"] == "2"


async def test_invoices_are_listed_filtered_and_paged(ask, world):
    drafts = await billed(world)
    query = """query ($filter: InvoiceFilter, $after: String) {
      invoices(filter: $filter, first: 1, after: $after, orderBy: {field: PERIOD_END}) {
        totalCount nodes { id reason } pageInfo { hasNextPage endCursor } } }"""
    first = (await ask(query))["invoices"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (2, True)
    second = (await ask(query, {"after": first["pageInfo"]["endCursor"]}))["invoices"]
    seen = {node["id"] for page in (first, second) for node in page["nodes"]}
    assert seen == {draft.id for draft in drafts}
    chosen = (await ask(query, {"filter": {"reason": {"eq": "SUBSCRIPTION_CYCLE"}}}))["invoices"]
    assert (chosen["totalCount"], chosen["nodes"][0]["id"]) == (1, drafts[1].id)
    dear = (await ask(query, {"filter": {"total": {"gt": "1000"}}}))["invoices"]
    assert dear["nodes"] == []


async def test_lines_of_many_invoices_cost_one_statement(ask, world, monkeypatch):
    await world.subscribe("acme")
    await draft_due(world, APR)
    counted = []
    batch = reads.lines_of_invoices

    async def counting(scope, ids):
        counted.append(len(ids))
        return await batch(scope, ids)

    monkeypatch.setattr(reads, "lines_of_invoices", counting)
    data = await ask("{ invoices { nodes { lines { id } customer { id } } } }")
    assert len(data["invoices"]["nodes"]) == 4
    assert counted == [4]


async def test_anything_of_an_invoice_is_found_by_its_id(ask, world):
    _, cycle = await billed(world)
    data = await ask("query ($id: ID!) { invoice(id: $id) { lines { id } } }", {"id": cycle.id})
    line = data["invoice"]["lines"][0]["id"]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    found = await ask(query, {"ids": [cycle.id, line]})
    assert found["nodes"] == [
        {"__typename": "Invoice", "id": cycle.id}, {"__typename": "InvoiceLine", "id": line},
    ]  # fmt: skip
    stranger = Scope(new_id("ten"), new_id("env"))
    assert await ask(query, {"ids": [cycle.id, line]}, scope=stranger) == {"nodes": [None, None]}


async def test_a_preview_says_what_the_next_invoice_would_be(ask, world):
    bought = await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu")])
    await draft_due(world, JAN)
    before = await everything(world)
    query = f"""query ($id: ID!) {{ invoicePreview(subscriptionId: $id) {{
      ... on InvoicePreview {{ reason periodStart periodEnd total {{ amount }} lines {{ {LINE} }} }}
      ... on Problem {{ code field }} }} }}"""
    shown = (await ask(query, {"id": bought.id}))["invoicePreview"]
    assert (shown["reason"], shown["total"]["amount"]) == ("SUBSCRIPTION_CYCLE", "75.12")
    assert shown["periodEnd"] == "2025-02-01T00:00:00Z"
    assert await everything(world) == before
    gone = (await ask(query, {"id": new_id("sub")}))["invoicePreview"]
    assert gone == {"code": "NOT_FOUND", "field": "subscriptionId"}


THOUGHT_OF = """query ($id: ID, $new: SubscriptionCreateInput, $usage: [ImaginedUsageInput!]) {
  invoicePreview(subscriptionId: $id, subscription: $new, usage: $usage) {
    ... on InvoicePreview { reason total { amount }
      lines { description quantity amount { amount } explanation { rule events { totalCount } } } }
    ... on Problem { code field } } }"""


async def test_a_subscription_and_usage_that_are_thought_of_are_previewed(ask, world):
    customer = await world.customer("acme")
    sold = (await price_reads.offered_of_plans(world.scope, [world.plan_id]))[world.plan_id]
    ids = {price.display_name: price.id for price in sold}
    new = {
        "customerId": customer.id, "planId": world.plan_id, "startsAt": "2025-01-01T00:00:00Z",
    }  # fmt: skip
    usage = [{"priceId": ids["Requests"], "usage": {"quantity": "120"}}]
    before = await everything(world)
    shown = (await ask(THOUGHT_OF, {"new": new, "usage": usage}))["invoicePreview"]
    assert (shown["reason"], shown["total"]["amount"]) == ("SUBSCRIPTION_CYCLE", "75")
    (line,) = [line for line in shown["lines"] if line["description"] == "Requests"]
    assert (line["quantity"], line["amount"]["amount"]) == ("120", "55")
    # Nobody has sent what is imagined, so no events are behind it.
    assert {step["events"] for step in line["explanation"] if step["rule"] == "counted"} == {None}
    assert await everything(world) == before


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "SUBSCRIPTION_REQUIRED", "subscriptionId"),
        (
            {"id": "sub_1", "new": {"customerId": "cus_1", "planId": "plan_1"}},
            "SUBSCRIPTION_AMBIGUOUS",
            "subscription",
        ),
        (
            {"id": "sub_1", "usage": [{"priceId": "p", "usage": {"quantity": "1"}}] * 2},
            "DUPLICATE_PRICE",
            "usage[1].priceId",
        ),
        (
            {
                "id": "sub_1",
                "usage": [{"priceId": f"{n}", "usage": {"quantity": "1"}} for n in range(101)],
            },
            "TOO_MANY_PARTS",
            "usage",
        ),
        ({"new": {"customerId": "cus_1", "planId": "plan_1"}}, "NOT_FOUND", "customerId"),
    ],
)
async def test_what_cannot_be_previewed_is_refused_by_name(ask, given, code, field):
    shown = (await ask(THOUGHT_OF, given))["invoicePreview"]
    assert shown == {"code": code, "field": field}


@pytest.mark.parametrize(
    ("name", "extra", "code"),
    [
        ("invoiceFinalize", {}, "INVOICE_NOT_DRAFT"),
        ("invoiceCompute", {}, "INVOICE_NOT_DRAFT"),
        ("invoiceVoid", {"reason": " "}, "INVALID_REASON"),
    ],
)
async def test_a_refusal_is_data_and_changes_nothing(ask, world, name, extra, code):
    opening, _ = await billed(world)
    await actions.finalize(world.scope, opening.id, by=SYSTEM, at=FEB)
    before = await everything(world)
    type_ = name[0].upper() + name[1:] + "Input"
    text = f"""mutation ($i: {type_}!) {{ {name}(input: $i) {{
      ... on Problem {{ code message }} ... on Invoice {{ id }} }} }}"""
    data = await ask(text, {"i": {"id": opening.id, **extra}})
    assert data[name]["code"] == code
    wanted = {"id": new_id("inv")} | ({"reason": "x"} if extra else {})
    unknown = await ask(text, {"i": wanted})
    assert unknown[name]["code"] == "NOT_FOUND"
    assert await everything(world) == before


async def test_a_draft_is_computed_and_an_invoice_is_voided(ask, world):
    _, cycle = await billed(world)
    await world.use("acme", [(JAN + timedelta(days=1), "100", "eu")])
    text = """mutation ($i: InvoiceComputeInput!) { invoiceCompute(input: $i) {
      ... on Invoice { total { amount } usageWatermark } } }"""
    data = await ask(text, {"i": {"id": cycle.id}})
    assert data["invoiceCompute"]["total"] == {"amount": "85.73"}
    assert data["invoiceCompute"]["usageWatermark"] > "2026"
    text = """mutation ($i: InvoiceVoidInput!) { invoiceVoid(input: $i) {
      ... on Invoice { status voidReason pdfUrl } } }"""
    data = await ask(text, {"i": {"id": cycle.id, "reason": "wrong customer"}})
    assert data["invoiceVoid"] == {
        "status": "VOID", "voidReason": "wrong customer", "pdfUrl": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{ invoices { nodes { id } } }",
        '{ invoice(id: "inv_1") { id } }',
        '{ invoicePreview(subscriptionId: "sub_1") { __typename } }',
        'mutation { invoiceVoid(input: {id: "inv_1", reason: "x"}) { __typename } }',
        "mutation { billingRunStart { __typename } }",
    ],
)
async def test_without_permission_nothing_is_said(ask, text):
    answer = await ask(text, permissions=frozenset({"customer:read"}), refused=True)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_billing_run_is_started_and_bills(ask, world, runtime):
    await world.subscribe("acme")
    async with working(runtime.temporal, world) as queue:
        text = "mutation { billingRunStart { ... on BillingRun { workflowId runId } } }"
        started = (await ask(text, queue=queue))["billingRunStart"]
        handle = runtime.temporal.get_workflow_handle(
            started["workflowId"], run_id=started["runId"], result_type=dict
        )
        assert await handle.result() == {"drafted": 1, "finalized": 1, "printed": 1}


@pytest.fixture
async def client(runtime, settings, world):
    async with open_authenticator(settings, world.clock) as authenticator:
        app = application(runtime, list(DownloadDoor(runtime, authenticator).routes()))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tariff.test") as client:
            yield client


async def key(world, *permissions):
    made = await make.key(world.scope, world.clock, permissions=permissions)
    return {"x-api-key": made.secret.text}


async def test_a_pdf_is_downloaded_by_who_may_read_invoices(client, world):
    opening, cycle = await billed(world)
    issued = await actions.finalize(world.scope, opening.id, by=SYSTEM, at=FEB)
    headers = await key(world, "invoice:read")
    answer = await client.get(f"/v1/invoices/{issued.id}/pdf", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'inline; filename="INV-202502-00001.pdf"'
    assert "INV-202502-00001" in text_of(answer.content)
    draft = await client.get(f"/v1/invoices/{cycle.id}/pdf", headers=headers)
    assert "DRAFT" in text_of(draft.content)


async def test_other_files_and_layouts_are_downloaded_alike(client, world):
    opening, _ = await billed(world)
    issued = await actions.finalize(world.scope, opening.id, by=SYSTEM, at=FEB)
    headers = await key(world, "invoice:read")
    for kind, media_type in (("csv", "text/csv; charset=utf-8"), ("json", "application/json")):
        answer = await client.get(f"/v1/invoices/{issued.id}/{kind}", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        name = f'attachment; filename="INV-202502-00001.{kind}"'
        assert answer.headers["content-disposition"] == name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"INV-202502-00001" in answer.content
    path = f"/v1/invoices/{issued.id}/pdf"
    detailed = await client.get(path, params={"layout": "detailed"}, headers=headers)
    assert "held" in text_of(detailed.content)
    wrong = await client.get(path, params={"layout": "fancy"}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["field"]) == (
        400, "INVALID_LAYOUT", "layout",
    )  # fmt: skip


async def test_an_electronic_invoice_is_downloaded_or_refused_with_its_reason(ask, client, world):
    opening, cycle = await billed(world)
    unknown = await actions.finalize(world.scope, opening.id, by=SYSTEM, at=FEB)
    facts = {"seller": {"country": "DE", "registrationNumber": "HRB 1"}}
    await ask("mutation ($i: SettingsUpdateInput!) { settingsUpdate(input: $i) { __typename } }",
              {"i": facts})  # fmt: skip
    issued = await actions.finalize(world.scope, cycle.id, by=SYSTEM, at=FEB)
    headers = await key(world, "invoice:read")
    answer = await client.get(f"/v1/invoices/{issued.id}/ubl", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    name = f'attachment; filename="{issued.number}.xml"'
    assert answer.headers["content-disposition"] == name
    query = "query ($id: ID!) { invoice(id: $id) { fileUrl(kind: UBL) } }"
    url = (await ask(query, {"id": issued.id}))["invoice"]["fileUrl"]
    async with httpx.AsyncClient() as outside:
        assert (await outside.get(url)).content == answer.content
    refused = await client.get(f"/v1/invoices/{unknown.id}/ubl", headers=headers)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
        409, "E_INVOICE_UNSUPPORTED", "seller.country",
    )  # fmt: skip


@pytest.mark.parametrize("part", ["%00", "inv_%00", "cus_1", "%ED%A0%80"])
async def test_an_id_that_is_none_is_a_document_not_found(client, world, part):
    headers = await key(world, "invoice:read")
    answer = await client.get(f"/v1/invoices/{part}/pdf", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_a_stranger_downloads_nothing(client, world):
    opening, _ = await billed(world)
    path = f"/v1/invoices/{opening.id}/pdf"
    for kind in ("csv", "json", "ubl"):
        assert (await client.get(path.replace("pdf", kind))).status_code == 401
    assert (await client.get(path)).status_code == 401
    denied = await client.get(path, headers=await key(world, "customer:read"))
    assert (denied.status_code, denied.json()["code"]) == (403, "FORBIDDEN")
    other = make.production(await make.tenant(world.clock))
    foreign = replace(world, scope=other)
    absent = await client.get(path, headers=await key(foreign, "invoice:read"))
    unknown = await client.get(
        f"/v1/invoices/{new_id('inv')}/pdf", headers=await key(world, "invoice:read")
    )
    assert (absent.status_code, absent.json()["code"]) == (404, "NOT_FOUND")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")
