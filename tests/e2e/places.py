"""A caller of the API, and a small world of everything that it can have."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from websockets.asyncio.client import connect as open_socket

_PROBLEM = "... on Problem { code message field }"
EVENTS = 5


@dataclass(frozen=True)
class Answer:
    """Of a REST route. `body` is the JSON, or the bytes of what is none."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Caller:
    """Asks with one key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str) -> None:
        self._http, self._url, self._key = http, url, key

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The whole answer of a query or a mutation, `errors` included."""
        asked = {"query": document, "variables": variables}
        async with self._http.post("/graphql", json=asked) as answer:
            body: dict[str, Any] = await answer.json()
        return body

    async def follow(self, document: str, **variables: Any) -> dict[str, Any]:
        """The first that a subscription tells, be it data or errors."""
        url = self._url.replace("http", "ws", 1) + "/graphql"
        asked = {"query": document, "variables": variables}
        async with (
            asyncio.timeout(15),
            open_socket(url, subprotocols=["graphql-transport-ws"]) as socket,  # type: ignore[list-item]
        ):
            hello = {"type": "connection_init", "payload": {"x-api-key": self._key}}
            await socket.send(json.dumps(hello))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": asked}))
            while (message := json.loads(await socket.recv()))["type"] == "ping":
                pass
        return message if message["type"] == "error" else dict(message["payload"])

    async def do(self, mutation: str, kind: str, selection: str, /, **given: Any) -> dict[str, Any]:
        """What a mutation made; it must succeed."""
        input_type = mutation[0].upper() + mutation[1:] + "Input"
        document = (
            f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) "
            f"{{ ... on {kind} {{ {selection} }} {_PROBLEM} }} }}"
        )
        answer = await self.ask(document, input=given)
        assert "errors" not in answer, answer
        made: dict[str, Any] = answer["data"][mutation]
        assert "code" not in made, (mutation, made)
        return made

    async def get(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of a query that must succeed."""
        answer = await self.ask(document, **variables)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def rest(self, method: str, path: str, **options: Any) -> Answer:
        async with self._http.request(method, path, **options) as answer:
            body = await answer.read()
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, json.loads(body) if is_json else body, answer.headers)


@asynccontextmanager
async def calling(url: str, key: str) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(url, headers={"x-api-key": key}) as http:
        yield Caller(http, url, key)


async def settle(caller: Caller, word: str) -> dict[str, str]:
    """One of everything, every text of it with `word`; identities by what they are."""
    world = {"name": word, "email": f"{word.lower()}@example.com", "externalId": f"{word}-customer"}
    world |= {"lookupKey": f"{word}-key", "eventName": f"{word}-call", "eventId": f"{word}-event-0"}
    world["corrected"] = f"{word}-event-1"  # what is voided is no longer listed
    await _people(caller, world)
    await _catalogue(caller, world)
    await _events(caller, world)
    await _invoices(caller, world)
    await _trail(caller, world)
    return world


async def _people(caller: Caller, world: dict[str, str]) -> None:
    word, email = world["name"], world["email"]
    me = (await caller.get("{ me { actorId tenant { id } environment { id } } }"))["me"]
    world["actor"], world["tenant"] = me["actorId"], me["tenant"]["id"]
    world["home"] = me["environment"]["id"]
    made = await caller.do("environmentCreate", "Environment", "id", name=word, type="DEVELOPMENT")
    world["environment"] = made["id"]
    permissions = ["customer:read"]
    made = await caller.do("roleCreate", "Role", "id", name=word, permissions=permissions)
    world["role"] = made["id"]
    made = await caller.do(
        "serviceAccountCreate", "ServiceAccount", "id", name=word, roles=[world["role"]]
    )
    world["serviceAccount"] = made["id"]
    made = await caller.do(
        "userInvite", "Invitation", "user { id }", email=email, name=word, roles=[world["role"]]
    )
    world["user"] = made["user"]["id"]
    made = await caller.do(
        "apiKeyCreate", "NewApiKey", "apiKey { id prefix }",
        name=word, permissions=permissions, serviceAccountId=world["serviceAccount"],
    )  # fmt: skip
    world["apiKey"], world["prefix"] = made["apiKey"]["id"], made["apiKey"]["prefix"]


async def _catalogue(caller: Caller, world: dict[str, str]) -> None:
    word, key = world["name"], world["lookupKey"]
    aggregation = {"kind": "COUNT"}
    made = await caller.do(
        "meterCreate", "Meter", "id",
        name=word, eventName=world["eventName"], aggregation=aggregation,
    )  # fmt: skip
    world["meter"] = made["id"]
    made = await caller.do("groupCreate", "Group", "id", name=word, lookupKey=key, kind="FEATURE")
    world["group"] = made["id"]
    made = await caller.do(
        "groupCreate", "Group", "id", name=word, lookupKey=f"{key}-prices", kind="PRICE"
    )
    world["priceGroup"] = made["id"]
    made = await caller.do(
        "featureCreate", "Feature", "id",
        name=word, lookupKey=key, type="METERED", meterId=world["meter"], groupId=world["group"],
    )  # fmt: skip
    world["feature"] = made["id"]
    made = await caller.do(
        "planCreate", "Plan", "id currentVersion { id }", name=word, lookupKey=key
    )
    world["plan"], world["planVersion"] = made["id"], made["currentVersion"]["id"]
    world["addon"] = (await caller.do("addonCreate", "Addon", "id", name=word, lookupKey=key))["id"]
    made = await caller.do(
        "priceCreate", "Price", "id",
        planId=world["plan"], displayName=word, charge="USAGE", featureId=world["feature"],
        currency="USD", lookupKey=key, model={"perUnit": {"unitAmount": "1.25"}},
        groupId=world["priceGroup"],
        effectiveFrom="2024-01-01T00:00:00Z",
    )  # fmt: skip
    world["price"] = made["id"]
    made = await caller.do(
        "priceUnitCreate", "PriceUnit", "id",
        code=key, name=word, baseCurrency="USD", conversionRate="0.01",
    )  # fmt: skip
    world["priceUnit"] = made["id"]
    made = await caller.do(
        "priceCreate", "Price", "id",
        addonId=world["addon"], priceUnitId=world["priceUnit"], displayName=word,
        charge="FIXED", currency="USD", model={"flat": {"flatAmount": "10"}},
    )  # fmt: skip
    made = await caller.do(
        "priceCreate", "Price", "id",
        planId=world["plan"], displayName=f"{word} fee", charge="FIXED", currency="USD",
        model={"flat": {"flatAmount": "10"}}, effectiveFrom="2024-01-01T00:00:00Z",
    )  # fmt: skip
    world["fixedPrice"] = made["id"]
    made = await caller.do(
        "entitlementCreate", "Entitlement", "id",
        planId=world["plan"], featureId=world["feature"], terms={"metered": {"limit": "1"}},
    )  # fmt: skip
    world["entitlement"] = made["id"]
    await caller.do(
        "entitlementCreate", "Entitlement", "id",
        addonId=world["addon"], featureId=world["feature"], terms={"metered": {"limit": "1"}},
    )  # fmt: skip
    made = await caller.do(
        "couponCreate", "Coupon", "id", name=word, code=key, off={"percent": "10"}
    )
    world["coupon"] = made["id"]
    made = await caller.do(
        "taxRateCreate", "TaxRate", "id", name=word, code=key, rate={"percent": "19"}
    )
    world["taxRate"] = made["id"]
    made = await caller.do(
        "testClockCreate", "TestClock", "id", name=word, frozenAt="2024-01-10T00:00:00Z"
    )
    world["testClock"] = made["id"]
    made = await caller.do(
        "customerCreate", "Customer", "id",
        externalId=world["externalId"], name=word, email=world["email"], currency="USD",
    )  # fmt: skip
    world["customer"] = made["id"]
    await caller.do(
        "customerCreate", "Customer", "id",
        externalId=f"{word}-on-a-clock", name=word, testClockId=world["testClock"],
    )  # fmt: skip
    made = await caller.do(
        "customerCreate", "Customer", "id",
        externalId=f"{word}-parent", name=word, currency="USD", consolidateInvoices=True,
    )  # fmt: skip
    world["parentCustomer"] = made["id"]
    await caller.do(
        "customerCreate", "Customer", "id",
        externalId=f"{word}-child", name=word, parentId=world["parentCustomer"],
    )  # fmt: skip


async def _events(caller: Caller, world: dict[str, str]) -> None:
    """In January 2024; they are stored when this returns."""
    events = [
        {
            "event_id": f"{world['name']}-event-{number}",
            "event_name": world["eventName"],
            "external_customer_id": world["externalId"],
            "timestamp": "2024-01-15T00:00:00Z",
            "properties": {"word": world["name"]},
        }
        for number in range(EVENTS)
    ]
    answer = await caller.rest("POST", "/v1/events/bulk", json={"events": events})
    assert answer.status == 202, answer.body
    async with asyncio.timeout(40):
        while await _stored(caller) < EVENTS:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _stored(caller: Caller) -> int:
    return int((await caller.get("{ events { totalCount } }"))["events"]["totalCount"])


async def _invoices(caller: Caller, world: dict[str, str]) -> None:
    """Of January and February 2024, by the billing workflow."""
    word = world["name"]
    prefix = word[:3].upper()
    await caller.do(
        "settingsUpdate",
        "EnvironmentSettings",
        "__typename",
        invoice={"numberPrefix": prefix, "creditNotePrefix": f"{prefix}-C"},
    )
    made = await caller.do(
        "subscriptionCreate", "Subscription", "id lineItems { id priceId }",
        customerId=world["customer"], planId=world["plan"], alignment="CALENDAR",
        startsAt="2024-01-01T00:00:00Z", endsAt="2024-03-01T00:00:00Z",
    )  # fmt: skip
    world["subscription"] = made["id"]
    fees = [line["id"] for line in made["lineItems"] if line["priceId"] == world["fixedPrice"]]
    world["subscriptionLineItem"] = fees[0]
    for _ in range(2):  # of one payer, who has one invoice of both
        await caller.do(
            "subscriptionCreate", "Subscription", "id",
            customerId=world["parentCustomer"], planId=world["plan"], alignment="CALENDAR",
            startsAt="2024-01-01T00:00:00Z", endsAt="2024-02-01T00:00:00Z",
        )  # fmt: skip
    await _terms(caller, world)
    started = await caller.get("mutation { billingRunStart { ... on BillingRun { workflowId } } }")
    assert started["billingRunStart"], started
    query = """query ($whose: ID!) {
      invoices(filter: {customerId: {eq: $whose}}, orderBy: [{field: PERIOD_START}]) {
        nodes { id number total { amount } lines { id } discounts { id } taxes { id } } }
      parts: invoices(filter: {status: {eq: CONSOLIDATED}}) {
        nodes { consolidatedInto { id } } } }"""
    async with asyncio.timeout(60):
        while True:
            answer = await caller.get(query, whose=world["customer"])
            found = answer["invoices"]["nodes"]
            parts = answer["parts"]["nodes"]
            if found and found[0]["number"] and parts:
                break
            await asyncio.sleep(0.2)
    world["wholeInvoice"] = parts[0]["consolidatedInto"]["id"]
    invoice = found[0]
    # The fee of 10 less 10 %, four of five events at 1.25, as one is included, and 19 % on top.
    assert invoice["total"]["amount"] == "16.66", invoice
    world["invoice"], world["number"] = invoice["id"], invoice["number"]
    world["invoiceLine"] = invoice["lines"][-1]["id"]
    world["invoiceDiscount"] = invoice["discounts"][0]["id"]
    world["invoiceTax"] = invoice["taxes"][0]["id"]
    await _late(caller, world)
    # One that is not over, and paused, so that its pause can be asked for.
    paused = await caller.do(
        "subscriptionCreate", "Subscription", "id",
        customerId=world["customer"], planId=world["plan"], purchaseOrder=f"{world['name']}-order",
    )  # fmt: skip
    world["pausedSubscription"], world["purchaseOrder"] = paused["id"], f"{world['name']}-order"
    draft = await caller.do(
        "subscriptionCreate", "Subscription", "id",
        customerId=world["customer"], planId=world["plan"], draft=True,
        overrides=[{"priceId": world["fixedPrice"], "model": {"flat": {"flatAmount": "7"}}}],
    )  # fmt: skip
    world["draftSubscription"] = draft["id"]
    await caller.do(
        "entitlementCreate", "Entitlement", "id",
        subscriptionId=paused["id"], featureId=world["feature"],
        terms={"metered": {"limit": "2"}},
    )  # fmt: skip
    answer = await caller.do(
        "subscriptionPause", "Subscription", "pauses { nodes { id } }", id=paused["id"]
    )
    world["subscriptionPause"] = answer["pauses"]["nodes"][0]["id"]
    # Another, with a change to come.
    going = await caller.do(
        "subscriptionCreate", "Subscription", "id lineItems { id quantity }",
        customerId=world["customer"], planId=world["plan"],
    )  # fmt: skip
    held = next(line for line in going["lineItems"] if line["quantity"] is not None)
    change = await caller.do(
        "subscriptionQuantityChange", "SubscriptionChange", "id",
        id=going["id"], lineItemId=held["id"], quantity="3", mode="PERIOD_END",
    )  # fmt: skip
    world["subscriptionChange"] = change["id"]
    await caller.do(
        "subscriptionAddonAttach", "SubscriptionChange", "id",
        id=going["id"], addonId=world["addon"],
    )  # fmt: skip
    query = f'{{ subscription(id: "{going["id"]}") {{ addons {{ id }} }} }}'
    found = await caller.get(query)
    world["subscriptionAddon"] = found["subscription"]["addons"][0]["id"]
    world["runningSubscription"], world["runningLine"] = going["id"], held["id"]
    # And one that is to go over to another plan, with others of a filter.
    other = await caller.do(
        "planClone", "Plan", "id currentVersion { id }",
        id=world["plan"], name=word, lookupKey=f"{world['lookupKey']}-clone",
    )  # fmt: skip
    world["otherPlan"], world["otherPlanVersion"] = other["id"], other["currentVersion"]["id"]
    made = await caller.do(
        "planMigrationStart", "PlanMigration", "id items { nodes { id } }",
        filter={"id": {"eq": paused["id"]}}, planId=other["id"],
    )  # fmt: skip
    world["planMigration"] = made["id"]
    world["planMigrationItem"] = made["items"]["nodes"][0]["id"]
    await _by_hand(caller, world)


async def _terms(caller: Caller, world: dict[str, str]) -> None:
    """A coupon and a tax on the invoices, and somebody who is spared another tax."""
    made = await caller.do(
        "couponAttach", "CouponAttachment", "id",
        couponId=world["coupon"], subscriptionLineItemId=world["subscriptionLineItem"],
        startsAt="2024-01-01T00:00:00Z",
    )  # fmt: skip
    world["couponAttachment"] = made["id"]
    rate = {"taxRateId": world["taxRate"]}
    made = await caller.do(
        "taxAssociationCreate", "TaxAssociation", "id", **rate, customerId=world["customer"]
    )
    world["taxAssociation"] = made["id"]
    await caller.do(
        "taxAssociationCreate", "TaxAssociation", "id",
        **rate, subscriptionId=world["subscription"], autoApply=False,
    )  # fmt: skip
    made = await caller.do(
        "taxExemptionCreate", "TaxExemption", "id",
        customerId=world["customer"], kind="EXEMPT", reason=world["name"],
        certificate=world["name"], endsAt="2000-01-01T00:00:00Z",
    )  # fmt: skip
    world["taxExemption"] = made["id"]


async def _late(caller: Caller, world: dict[str, str]) -> None:
    """An event of a period that was billed, and the correction it leads to, in review."""
    corrections = {"policy": "REVIEW"}
    await caller.do("settingsUpdate", "EnvironmentSettings", "__typename", corrections=corrections)
    event = {
        "event_id": f"{world['name']}-late",
        "event_name": world["eventName"],
        "external_customer_id": world["externalId"],
        "timestamp": "2024-01-16T00:00:00Z",
    }
    answer = await caller.rest("POST", "/v1/events", json=event)
    assert answer.status == 202, answer.body
    run = "mutation { invoiceCorrectionsRun { ... on BillingRun { workflowId } } }"
    async with asyncio.timeout(60):
        while True:
            assert (await caller.get(run))["invoiceCorrectionsRun"]
            await asyncio.sleep(0.5)
            data = await caller.get("{ invoiceCorrections { nodes { id amount { amount } } } }")
            if found := data["invoiceCorrections"]["nodes"]:
                break
    assert [each["amount"]["amount"] for each in found] == ["1.25"]
    world["invoiceCorrection"] = found[0]["id"]


async def _by_hand(caller: Caller, world: dict[str, str]) -> None:
    """A draft, and a credit note of the invoice, both with the world's key."""
    world["key"] = f"{world['name']}-key"
    line = {"description": world["name"], "unitAmount": "1"}
    made = await caller.do(
        "invoiceCreate", "Invoice", "id lines { id }",
        customerId=world["customer"], lines=[line, line], key=world["key"],
    )  # fmt: skip
    world["draftInvoice"] = made["id"]
    world["draftLine"], world["removedLine"] = (line["id"] for line in made["lines"])
    await caller.do(
        "taxAssociationCreate", "TaxAssociation", "id",
        taxRateId=world["taxRate"], invoiceId=world["draftInvoice"], autoApply=False,
    )  # fmt: skip
    made = await caller.do(
        "creditNoteCreate", "CreditNote", "id number",
        invoiceId=world["invoice"], reason="OTHER", memo=world["name"], key=world["key"],
        lines=[{"lineId": world["invoiceLine"], "amount": "0.5"}],
    )  # fmt: skip
    world["creditNote"], world["creditNumber"] = made["id"], made["number"]


async def _trail(caller: Caller, world: dict[str, str]) -> None:
    query = """query ($id: ID!) {
      auditEntries(filter: {entityId: {eq: $id}}) { nodes { id requestId } } }"""
    entry = (await caller.get(query, id=world["customer"]))["auditEntries"]["nodes"][0]
    world["auditEntry"], world["request"] = entry["id"], entry["requestId"]
