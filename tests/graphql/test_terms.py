"""Coupons given, taxes asked, exemptions, and what became of them on invoices: in the graph."""

from decimal import Decimal

import pytest

from app.catalog.reads import coupons as coupon_rows
from app.invoicing import explaining, explanation, reads
from app.invoicing.amounts import Balance
from app.invoicing.terms.balances import paid_from
from app.kernel.ids import new_id
from app.kernel.listing import PageRequest
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions
from app.tenants.reads import audit_entries
from app.tenants.role import PERMISSIONS
from tests.catalog import make
from tests.invoicing.test_billing import FEB, draft_due, everything
from tests.statements import statements

ATTACHMENT = """id couponId customerId subscriptionId subscriptionLineItemId startsAt endsAt
  timesUsed coupon { name } customer { name } subscription { id } subscriptionLineItem { id }"""
ASSOCIATION = """id taxRateId level customerId subscriptionId invoiceId priority autoApply startsAt
  endsAt status archivedAt taxRate { name } customer { name } subscription { id } invoice { id }"""
EXEMPTION = """id customerId kind reason certificate legend taxRateIds startsAt endsAt status
  archivedAt customer { name } taxRates { name }"""
STEPS = "explanation { index parent rule formula inputs result }"
AMOUNT = "{ amount currency }"
SHARES = f"shares {{ invoiceLineId amount {AMOUNT} }}"
APPLIED = f"""
  discounts {{ id position couponId couponAttachmentId description amount {AMOUNT}
    base {AMOUNT} couponSnapshot {SHARES} coupon {{ code }} invoice {{ id }} }}
  prepaidApplications {{ id invoiceId position balanceId amount {AMOUNT} {SHARES} }}
  taxes {{ id position taxRateId taxAssociationId taxExemptionId description percent included
    treatment taxable {AMOUNT} amount {AMOUNT} taxRateSnapshot {SHARES} taxRate {{ code }} }}
  taxNotes taxAssociations {{ id }} {STEPS}
  lines {{ id amount {AMOUNT} discount {AMOUNT} prepaid {AMOUNT} tax {AMOUNT}
    taxIncluded {AMOUNT} total {AMOUNT} {STEPS} }}"""


@pytest.fixture
def ask(ask_of_world):
    return ask_of_world


@pytest.fixture
def do(ask):
    async def run(verb, selection, /, **given):
        kinds = {
            "coupon": "CouponAttachment", "taxA": "TaxAssociation", "taxE": "TaxExemption",
            "subs": "Subscription",
        }  # fmt: skip
        kind = next(kind for start, kind in kinds.items() if verb.startswith(start))
        input_ = verb[0].upper() + verb[1:] + "Input"
        text = f"""mutation ($i: {input_}!) {{ {verb}(input: $i) {{
          ... on {kind} {{ {selection} }} ... on Problem {{ code field message }} }} }}"""
        return (await ask(text, {"i": given}))[verb]

    return run


async def audited(world, entity_id):
    page = await audit_entries.page(world.scope, PageRequest())
    return [entry.action for entry in page.rows if entry.entity_id == entity_id]


async def test_a_coupon_is_attached_by_code_listed_and_taken_away(ask, do, world):
    coupon = await make.coupon(world.scope, world.clock, code="WELCOME")
    bought = await world.subscribe("acme")
    got = await do("couponAttach", ATTACHMENT, code="welcome", subscriptionId=bought.id)
    assert (got["couponId"], got["customerId"]) == (coupon.id, bought.customer_id)
    assert (got["coupon"], got["customer"]) == ({"name": "Welcome"}, {"name": "Acme"})
    assert (got["subscription"], got["subscriptionLineItem"]) == ({"id": bought.id}, None)
    assert (got["timesUsed"], got["endsAt"]) == (0, None)
    again = await do("couponAttach", ATTACHMENT, couponId=coupon.id, subscriptionId=bought.id)
    assert (again["code"], again["field"]) == ("COUPON_ALREADY_ATTACHED", "couponId")
    query = """query ($f: CouponAttachmentFilter, $c: ID!, $s: ID!, $k: ID!) {
      couponAttachments(filter: $f, orderBy: [{field: STARTS_AT}]) { totalCount nodes { id } }
      customer(id: $c) { couponAttachments { nodes { id } } }
      subscription(id: $s) { couponAttachments { nodes { id } } }
      coupon(id: $k) { redemptions attachments { nodes { id timesUsed } } } }"""
    filters = [
        ({"subscriptionId": {"eq": bought.id}}, 1), ({"couponId": {"eq": coupon.id}}, 1),
        ({"subscriptionLineItemId": {"isNull": False}}, 0), ({"endsAt": {"isNull": True}}, 1),
    ]  # fmt: skip
    for filter_, count in filters:
        ids = {"c": bought.customer_id, "s": bought.id, "k": coupon.id}
        found = await ask(query, {"f": filter_, **ids})
        assert found["couponAttachments"]["totalCount"] == count
    theirs = [{"id": got["id"]}]
    assert found["customer"]["couponAttachments"]["nodes"] == theirs
    assert found["subscription"]["couponAttachments"]["nodes"] == theirs
    assert found["coupon"] == {
        "redemptions": 1, "attachments": {"nodes": [{"id": got["id"], "timesUsed": 0}]},
    }  # fmt: skip
    await draft_due(world, FEB)
    used = await ask("query ($i: ID!) { couponAttachment(id: $i) { timesUsed } }", {"i": got["id"]})
    assert used["couponAttachment"] == {"timesUsed": 1}
    ended = await do("couponDetach", ATTACHMENT, id=got["id"])
    assert ended["endsAt"] is not None
    later = await do("couponDetach", ATTACHMENT, id=got["id"])
    assert (later["code"], later["field"]) == ("COUPON_DETACHED", "id")
    assert set(await audited(world, got["id"])) == {"coupon.attach", "coupon.detach"}


async def test_a_coupon_for_one_line_and_what_speaks_against_it(ask, do, world):
    bought = await world.subscribe("acme")
    (lines,) = (await subscriptions.line_items(world.scope, [bought.id])).values()
    coupon = await make.coupon(world.scope, world.clock, currency="EUR")
    check = (
        """query ($i: CouponAttachInput!) { couponAttachProblems(input: $i) { code message } }"""
    )
    owner = {"subscriptionLineItemId": lines[0].id}
    found = await ask(check, {"i": {"couponId": coupon.id, **owner}})
    assert [each["code"] for each in found["couponAttachProblems"]] == ["CURRENCY_MISMATCH"]
    refused = await do("couponAttach", ATTACHMENT, couponId=coupon.id, **owner)
    assert refused["code"] == "CURRENCY_MISMATCH"
    fine = await make.coupon(world.scope, world.clock)
    found = await ask(check, {"i": {"couponId": fine.id, **owner}})
    assert found["couponAttachProblems"] == []
    got = await do("couponAttach", ATTACHMENT, couponId=fine.id, **owner)
    assert got["subscriptionLineItem"] == {"id": lines[0].id}


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "OWNER_REQUIRED", "customerId"),
        ({"customerId": "c", "subscriptionId": "s"}, "OWNER_AMBIGUOUS", "subscriptionId"),
        ({"customerId": "c", "couponId": None}, "NOT_FOUND", "customerId"),
        ({"subscriptionId": "s"}, "NOT_FOUND", "subscriptionId"),
        ({"subscriptionLineItemId": "l"}, "NOT_FOUND", "subscriptionLineItemId"),
        ({"customerId": "own", "couponId": None}, "COUPON_REQUIRED", "couponId"),
        ({"customerId": "own", "code": "x"}, "COUPON_AMBIGUOUS", "code"),
        ({"customerId": "own", "couponId": None, "code": "x"}, "NOT_FOUND", "code"),
        ({"customerId": "own", "couponId": "cpn_x"}, "NOT_FOUND", "couponId"),
        (
            {"customerId": "own", "startsAt": "2025-02-01T00:00:00Z",
             "endsAt": "2025-02-01T00:00:00Z"},
            "INVALID_ENDS_AT", "endsAt",
        ),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_an_attachment_is_named(do, world, given, code, field):
    coupon = await make.coupon(world.scope, world.clock)
    customer = await world.customer("acme")
    whole = {"couponId": coupon.id} | given
    if whole.get("customerId") == "own":
        whole["customerId"] = customer.id
    before = await everything(world)
    refused = await do("couponAttach", ATTACHMENT, **whole)
    assert (refused["code"], refused["field"]) == (code, field)
    assert await everything(world) == before


async def test_an_attachment_that_ends_can_only_end_sooner(do, world):
    coupon = await make.coupon(world.scope, world.clock)
    customer = await world.customer("acme")
    got = await do(
        "couponAttach", ATTACHMENT, couponId=coupon.id, customerId=customer.id,
        endsAt="2025-03-01T00:00:00Z",
    )  # fmt: skip
    later = await do("couponDetach", ATTACHMENT, id=got["id"], endsAt="2025-04-01T00:00:00Z")
    assert (later["code"], later["field"]) == ("INVALID_ENDS_AT", "endsAt")
    sooner = await do("couponDetach", ATTACHMENT, id=got["id"], endsAt="2025-02-01T00:00:00Z")
    assert sooner["endsAt"] == "2025-02-01T00:00:00Z"


async def test_a_subscription_is_created_with_all_of_its_coupons_or_not_at_all(ask, do, world):
    customer = await world.customer("acme")
    one = await make.coupon(world.scope, world.clock)
    two = await make.coupon(world.scope, world.clock, code="TWO")
    selection = "id couponAttachments { nodes { couponId startsAt } }"
    basics = {"customerId": customer.id, "planId": world.plan_id, "couponIds": [one.id]}
    before = await everything(world)
    refused = await do("subscriptionCreate", selection, **basics, couponCodes=["TWO", "THREE"])
    assert (refused["code"], refused["field"]) == ("NOT_FOUND", "couponCodes[1]")
    twice = await do("subscriptionCreate", selection, **basics, couponCodes=[one.code])
    assert (twice["code"], twice["field"]) == ("COUPON_ALREADY_ATTACHED", "couponCodes[0]")
    many = await do("subscriptionCreate", selection, **basics, couponCodes=["x"] * 20)
    assert (many["code"], many["field"]) == ("INVALID_COUPON_CODES", "couponCodes")
    assert await everything(world) == before
    assert (await coupon_rows.get(world.scope, one.id)).redemptions == 0
    made = await do("subscriptionCreate", selection, **basics, couponCodes=["two"])
    given = {node["couponId"] for node in made["couponAttachments"]["nodes"]}
    assert given == {one.id, two.id}
    text = (
        "mutation ($i: SubscriptionCreateInput!) { subscriptionCreate(input: $i) { __typename } }"
    )
    denied = await ask(
        text, {"i": basics}, permissions=PERMISSIONS - {"coupon:write"}, refused=True
    )
    assert [error["extensions"]["code"] for error in denied["errors"]] == ["FORBIDDEN"]


async def test_a_tax_is_associated_changed_archived_and_restored(ask, do, world):
    rate = await make.tax_rate(world.scope, world.clock, code="vat")
    bought = await world.subscribe("acme")
    everybodys = await do("taxAssociationCreate", ASSOCIATION, code="vat")
    assert (everybodys["level"], everybodys["taxRate"]) == ("ENVIRONMENT", {"name": "VAT"})
    assert (everybodys["priority"], everybodys["autoApply"]) == (100, True)
    own = await do(
        "taxAssociationCreate", ASSOCIATION, taxRateId=rate.id, subscriptionId=bought.id,
        priority=5, autoApply=False, startsAt="2025-01-01T00:00:00Z",
    )  # fmt: skip
    assert (own["level"], own["subscription"]) == ("SUBSCRIPTION", {"id": bought.id})
    again = await do("taxAssociationCreate", ASSOCIATION, code="vat")
    assert (again["code"], again["field"]) == ("TAX_ALREADY_ASSOCIATED", "taxRateId")
    changed = await do(
        "taxAssociationUpdate", ASSOCIATION, id=own["id"], autoApply=True,
        endsAt="2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert (changed["autoApply"], changed["endsAt"]) == (True, "2026-01-01T00:00:00Z")
    wrong = await do("taxAssociationUpdate", ASSOCIATION, id=own["id"], priority=10_001)
    assert (wrong["code"], wrong["field"]) == ("INVALID_PRIORITY", "priority")
    archived = await do("taxAssociationArchive", ASSOCIATION, id=everybodys["id"])
    assert (archived["status"], archived["archivedAt"] is None) == ("ARCHIVED", False)
    query = """query ($f: TaxAssociationFilter, $s: ID!, $r: ID!) {
      taxAssociations(filter: $f, orderBy: [{field: PRIORITY}]) { nodes { id } }
      subscription(id: $s) { taxAssociations { id } }
      taxRate(id: $r) { associations { totalCount } } }"""
    for filter_, ids in (
        ({"level": {"eq": "ENVIRONMENT"}}, [everybodys["id"]]),
        ({"status": {"eq": "ACTIVE"}}, [own["id"]]),
        ({"priority": {"lt": 5}}, []),
    ):
        found = await ask(query, {"f": filter_, "s": bought.id, "r": rate.id})
        assert [node["id"] for node in found["taxAssociations"]["nodes"]] == ids
    assert found["subscription"]["taxAssociations"] == [{"id": own["id"]}]
    assert found["taxRate"]["associations"] == {"totalCount": 2}
    assert (await do("taxAssociationRestore", ASSOCIATION, id=everybodys["id"]))["status"] == (
        "ACTIVE"
    )
    assert len(await audited(world, everybodys["id"])) == 3


async def test_who_is_spared_is_told_why_and_until_when(ask, do, world):
    rate = await make.tax_rate(world.scope, world.clock)
    customer = await world.customer("acme")
    made = await do(
        "taxExemptionCreate", EXEMPTION, customerId=customer.id, kind="EXEMPT", reason="School",
        certificate="C-77", taxRateIds=[rate.id], endsAt="2026-01-01T00:00:00Z",
    )  # fmt: skip
    assert (made["kind"], made["taxRates"]) == ("EXEMPT", [{"name": "VAT"}])
    changed = await do(
        "taxExemptionUpdate", EXEMPTION, id=made["id"], kind="REVERSE_CHARGE", legend="Art. 196",
        certificate=None, taxRateIds=None,
    )  # fmt: skip
    assert (changed["legend"], changed["certificate"], changed["taxRateIds"]) == (
        "Art. 196", None, [],
    )  # fmt: skip
    for given, code, field in (
        ({"kind": None}, "REQUIRED", "kind"),
        ({"reason": " "}, "INVALID_REASON", "reason"),
        ({"taxRateIds": ["txr_x"]}, "NOT_FOUND", "taxRateIds[0]"),
        ({"startsAt": "2027-01-01T00:00:00Z"}, "INVALID_ENDS_AT", "endsAt"),
    ):
        refused = await do("taxExemptionUpdate", EXEMPTION, id=made["id"], **given)
        assert (refused["code"], refused["field"]) == (code, field)
    query = """query ($f: TaxExemptionFilter, $c: ID!) {
      taxExemptions(filter: $f) { nodes { id } } customer(id: $c) { taxExemptions { id } } }"""
    found = await ask(query, {"f": {"kind": {"eq": "REVERSE_CHARGE"}}, "c": customer.id})
    assert found["taxExemptions"]["nodes"] == found["customer"]["taxExemptions"]
    assert len(found["customer"]["taxExemptions"]) == 1
    assert (await do("taxExemptionArchive", EXEMPTION, id=made["id"]))["status"] == "ARCHIVED"
    again = await do("taxExemptionArchive", EXEMPTION, id=made["id"])
    assert (again["code"], again["field"]) == ("TAX_EXEMPTION_ARCHIVED", "id")
    assert (await do("taxExemptionRestore", EXEMPTION, id=made["id"]))["status"] == "ACTIVE"


class Wallets:
    """One balance of 5 that every customer has, for usage."""

    async def of(self, scope, payers, *, at, lock):
        kinds = frozenset({"usage"})
        return {payer: [Balance(id="wal_1", amount=Decimal(5), kinds=kinds)] for payer in payers}


async def billed(world, do, *names):
    """Subscriptions with 10 % off and VAT, and their invoices of January."""
    rate = await make.tax_rate(world.scope, world.clock)
    await do("taxAssociationCreate", ASSOCIATION, taxRateId=rate.id)
    for name in names:
        bought = await world.subscribe(name)
        coupon = await make.coupon(world.scope, world.clock)
        await do("couponAttach", ATTACHMENT, couponId=coupon.id, subscriptionId=bought.id)
        await world.use(name, [(world.clock.now(), "100", "eu")])
    with paid_from(Wallets()):
        await draft_due(world, FEB)


async def test_an_invoice_shows_what_was_applied_and_explains_it(ask, do, world):
    await billed(world, do, "acme")
    query = f"""query {{
      invoices(first: 4, orderBy: [{{field: PERIOD_START}}, {{field: PERIOD_END}}]) {{
      nodes {{ id subtotal {AMOUNT} discount {AMOUNT} prepaid {AMOUNT} tax {AMOUNT}
        amountDue {AMOUNT} {APPLIED} }} }} }}"""
    for node in (await ask(query))["invoices"]["nodes"]:
        invoice = await reads.get(world.scope, node["id"])
        lines = (await reads.lines_of_invoices(world.scope, [node["id"]]))[node["id"]]
        root = node["explanation"][0]
        assert (root["rule"], root["result"]) == ("amount_due", node["amountDue"]["amount"])
        tree = explanation.to_json(explaining.of_invoice(invoice, lines))
        assert explanation.evaluate(tree) == invoice.totals.amount_due
        for shown, line in zip(node["lines"], lines, strict=True):
            assert shown["explanation"][0]["result"] == shown["total"]["amount"]
            assert shown["explanation"][0]["rule"] == "line_total"
            assert explanation.evaluate(explanation.to_json(explaining.of_line(line))) == line.total
        for parts, total in (("taxes", "tax"), ("prepaidApplications", "prepaid")):
            shares = [share["amount"]["amount"] for each in node[parts] for share in each["shares"]]
            assert sum(map(Decimal, shares)) == Decimal(node[total]["amount"])
    first, cycle = (await ask(query))["invoices"]["nodes"]
    (discount,) = first["discounts"]
    assert (discount["description"], discount["amount"]["amount"]) == ("Welcome", "2")
    assert (discount["base"]["amount"], discount["couponSnapshot"]["percent_off"]) == ("20", "10")
    assert discount["invoice"] == {"id": first["id"]}
    (tax,) = first["taxes"]
    assert (tax["percent"], tax["taxable"]["amount"], tax["amount"]["amount"]) == (
        "19", "18", "3.42",
    )  # fmt: skip
    assert (tax["treatment"], tax["included"], first["taxNotes"]) == ("STANDARD", False, [])
    assert [each["balanceId"] for each in cycle["prepaidApplications"]] == ["wal_1"]
    assert cycle["prepaid"]["amount"] == "5"


async def test_invoices_are_explained_in_the_same_statements_however_many(ask, do, world):
    text = f"{{ invoices(first: 6) {{ nodes {{ {APPLIED} }} }} }}"
    await billed(world, do, "acme")
    await ask(text)
    few = await statements(world.scope, lambda: ask(text))
    for name in ("beta", "gamma"):
        await world.subscribe(name)
    await draft_due(world, FEB)
    many = await statements(world.scope, lambda: ask(text))
    assert len(few) == len(many), (few, many)


async def test_attachments_and_associations_are_batched(ask, do, world):
    text = f"""{{ customers(first: 5) {{ nodes {{
      couponAttachments(first: 5) {{ nodes {{ {ATTACHMENT} }} }} taxAssociations {{ {ASSOCIATION} }}
      taxExemptions {{ {EXEMPTION} }}
      subscriptions(first: 5) {{ nodes {{ couponAttachments(first: 5) {{ nodes {{ id }} }}
        taxAssociations {{ id }} }} }} }} }} }}"""
    rate = await make.tax_rate(world.scope, world.clock)
    counts = []
    for names in (("first",), ("acme",), ("beta", "gamma")):
        for name in names:
            bought = await world.subscribe(name)
            coupon = await make.coupon(world.scope, world.clock)
            owner = {"customerId": bought.customer_id}
            await do("couponAttach", "id", couponId=coupon.id, subscriptionId=bought.id)
            await do("taxAssociationCreate", "id", taxRateId=rate.id, **owner)
            await do("taxExemptionCreate", "id", kind="EXEMPT", reason="School", **owner)
        counts.append(len(await statements(world.scope, lambda: ask(text))))
    assert counts[1] == counts[2]


async def test_discounts_and_taxes_of_invoices_are_listed_and_are_nodes(ask, do, world):
    await billed(world, do, "acme")
    found = await ask("""{
      invoiceDiscounts(filter: {amount: {gt: "0"}}, orderBy: [{field: AMOUNT}]) {
        nodes { id amount { amount } invoice { number } } }
      invoiceTaxes(filter: {treatment: {eq: STANDARD}}) { nodes { id taxable { amount } } } }""")
    discount = found["invoiceDiscounts"]["nodes"][0]
    tax = found["invoiceTaxes"]["nodes"][0]
    query = """query ($ids: [ID!]!, $d: ID!, $t: ID!) { nodes(ids: $ids) { __typename id }
      invoiceDiscount(id: $d) { id } invoiceTax(id: $t) { id } }"""
    variables = {"ids": [discount["id"], tax["id"]], "d": discount["id"], "t": tax["id"]}
    seen = await ask(query, variables)
    assert [node["__typename"] for node in seen["nodes"]] == ["InvoiceDiscount", "InvoiceTax"]
    assert seen["invoiceDiscount"] == {"id": discount["id"]}
    stranger = Scope(world.scope.tenant_id, new_id("env"))
    assert await ask(query, variables, scope=stranger) == {
        "nodes": [None, None], "invoiceDiscount": None, "invoiceTax": None,
    }  # fmt: skip


async def test_a_preview_shows_the_same_as_the_invoice(ask, do, world):
    rate = await make.tax_rate(world.scope, world.clock)
    bought = await world.subscribe("acme")
    await do("taxAssociationCreate", ASSOCIATION, taxRateId=rate.id)
    await do(
        "taxExemptionCreate", EXEMPTION, customerId=bought.customer_id, kind="REVERSE_CHARGE",
        reason="EU",
    )  # fmt: skip
    coupon = await make.coupon(world.scope, world.clock)
    await do("couponAttach", ATTACHMENT, couponId=coupon.id, subscriptionId=bought.id)
    text = f"""query ($s: ID!) {{ invoicePreview(subscriptionId: $s) {{ ... on InvoicePreview {{
      discounts {{ description amount {AMOUNT} base {AMOUNT} couponSnapshot }}
      taxes {{ treatment taxable {AMOUNT} amount {AMOUNT} taxRateSnapshot }} taxNotes
      prepaidApplications {{ balanceId }} {STEPS} amountDue {AMOUNT} }} }} }}"""
    shown = (await ask(text, {"s": bought.id}))["invoicePreview"]
    assert shown["discounts"][0]["amount"] == {"amount": "2", "currency": "USD"}
    assert shown["taxes"][0]["treatment"] == "REVERSE_CHARGE"
    assert shown["taxes"][0]["taxable"]["amount"] == "18"
    assert shown["taxNotes"] == ["Reverse charge: the recipient accounts for the tax."]
    assert shown["explanation"][0]["result"] == shown["amountDue"]["amount"] == "18"


async def test_credits_taken_at_issue_are_part_of_the_explanation(ask, world):
    customer = await world.customer("acme")
    create = """mutation ($i: InvoiceCreateInput!) { invoiceCreate(input: $i) { ... on Invoice {
      id amountDue { amount } explanation { rule inputs result } } } }"""
    lines = [{"description": "Fee", "unitAmount": "60"}]
    given = {"customerId": customer.id, "lines": lines, "finalize": True}
    first = (await ask(create, {"i": given}))["invoiceCreate"]
    assert first["explanation"][0]["result"] == "60"
    note = await ask(
        """mutation ($i: CreditNoteCreateInput!) { creditNoteCreate(input: $i) {
          ... on CreditNote { id } ... on Problem { code } } }""",
        {"i": {"invoiceId": first["id"], "reason": "OTHER", "kind": "CREDIT"}},
    )
    second = (await ask(create, {"i": given}))["invoiceCreate"]
    steps = {step["rule"]: step for step in second["explanation"]}
    assert (steps["amount_due"]["result"], second["amountDue"]["amount"]) == ("0", "0")
    assert steps["credits"]["result"] == "60"
    assert steps["drawn"]["inputs"] == {
        "balance": note["creditNoteCreate"]["id"], "amount": "60",
    }  # fmt: skip


async def test_a_caller_without_the_permission_reads_and_writes_nothing(ask, world):
    customer = await world.customer("acme")
    writes = {"couponAttach": "coupon", "taxAssociationCreate": "tax", "taxExemptionCreate": "tax"}
    for verb, what in writes.items():
        text = f"""mutation ($i: {verb[0].upper()}{verb[1:]}Input!) {{
          {verb}(input: $i) {{ __typename }} }}"""
        exempt = {"kind": "EXEMPT", "reason": "x"} if "Exemption" in verb else {}
        answer = await ask(
            text, {"i": {"customerId": customer.id, **exempt}},
            permissions=PERMISSIONS - {f"{what}:write"}, refused=True,
        )  # fmt: skip
        assert [e["extensions"]["code"] for e in answer["errors"]] == ["FORBIDDEN"], verb
    lists = {
        "couponAttachments": "coupon", "taxAssociations": "tax", "taxExemptions": "tax",
        "invoiceDiscounts": "invoice", "invoiceTaxes": "invoice",
    }  # fmt: skip
    for name, what in lists.items():
        answer = await ask(
            f"{{ {name} {{ nodes {{ id }} }} }}",
            permissions=PERMISSIONS - {f"{what}:read"}, refused=True,
        )  # fmt: skip
        assert [e["extensions"]["code"] for e in answer["errors"]] == ["FORBIDDEN"], name
