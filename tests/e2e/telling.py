"""What the story is told with: the public API, by the names of its people and plans."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.e2e.places import Caller

AMOUNTS = "subtotal { amount } discount { amount } tax { amount } total { amount }"
DUE = "credited { amount } amountDue { amount } amountRemaining { amount }"
LINES = "lines { id kind description quantity amount { amount } }"
SUBSCRIPTION = """id status currentPeriodStart currentPeriodEnd
    lineItems { id quantity endsAt price { displayName } }
    scheduledChanges { kind at cancelable }"""
CHANGE = f"""status direction effectiveAt
    invoice {{ id reason {AMOUNTS} {DUE} }} creditNotes {{ total {{ amount }} }}"""
INVOICE = f"id number status reason paymentStatus {AMOUNTS} {DUE} {LINES}"
_CHECKED = """id number reason usageWatermark amountDue { amount } explanation { result }
    lines { description total { amount } explanation { result } }"""
_FIND = f"""query ($customer: ID!) {{
  invoices(filter: {{customerId: {{eq: $customer}}}}, orderBy: [{{field: CREATED_AT}}]) {{
    nodes {{ {INVOICE} }} }} }}"""


@dataclass
class Book:
    """A company's account at Tariff, and the ids of what it made there."""

    caller: Caller
    clock: str
    ids: dict[str, str] = field(default_factory=dict)

    async def make(self, name: str, verb: str, kind: str, /, **given: Any) -> str:
        """Make something, and know it by its name from now on."""
        made = await self.caller.do(verb, kind, "id", **given)
        self.ids[name] = made["id"]
        return self.ids[name]

    async def subscription(self, verb: str, name: str, /, **given: Any) -> dict[str, Any]:
        """The subscription of somebody after a verb."""
        return await self.caller.do(
            verb, "Subscription", SUBSCRIPTION, id=self.ids[f"{name}'s plan"], **given
        )

    async def change(self, verb: str, name: str, /, **given: Any) -> dict[str, Any]:
        """What a verb changed of somebody's subscription."""
        given = {"id": self.ids[f"{name}'s plan"], **given}
        return await self.caller.do(verb, "SubscriptionChange", CHANGE, **given)

    async def invoice(self, verb: str, /, **given: Any) -> dict[str, Any]:
        return await self.caller.do(verb, "Invoice", INVOICE, **given)

    async def line(self, name: str, of_what: str = "Seats") -> str:
        """The line of seats, or of something else, that somebody holds now."""
        query = f"query ($id: ID!) {{ subscription(id: $id) {{ {SUBSCRIPTION} }} }}"
        found = await self.caller.get(query, id=self.ids[f"{name}'s plan"])
        (line,) = (
            each
            for each in found["subscription"]["lineItems"]
            if each["price"]["displayName"] == of_what and each["endsAt"] is None
        )
        return str(line["id"])

    async def invoices(self, name: str) -> list[dict[str, Any]]:
        """Somebody's invoices, the oldest first."""
        found = await self.caller.get(_FIND, customer=self.ids[name])
        nodes: list[dict[str, Any]] = found["invoices"]["nodes"]
        return nodes

    async def use(self, name: str, used: Sequence[tuple[str, str, int]]) -> None:
        """Requests of somebody: event id, day and hour, how many."""
        events = [
            {
                "event_id": event_id,
                "event_name": "request",
                "external_customer_id": name,
                "timestamp": f"{at}:00Z",
                "properties": {"count": count},
            }
            for event_id, at, count in used
        ]
        answer = await self.caller.rest("POST", "/v1/events/bulk", json={"events": events})
        assert answer.status == 202, answer.body

    async def advance(self, to: str) -> None:
        """Let time pass: everything that falls due on the way is done."""
        await self.caller.do("testClockAdvance", "TestClock", "id", id=self.clock, to=to)
        query = "query ($id: ID!) { testClock(id: $id) { status failure } }"
        async with asyncio.timeout(60):
            while True:
                clock = (await self.caller.get(query, id=self.clock))["testClock"]
                if clock["status"] != "ADVANCING":
                    break
                await asyncio.sleep(0.1)
        assert clock == {"status": "READY", "failure": None}

    async def corrections(self, expected: int) -> list[dict[str, Any]]:
        """Have what was billed looked at, until so many corrections are booked."""
        run = "mutation { invoiceCorrectionsRun { ... on BillingRun { workflowId } } }"
        query = "{ invoiceCorrections { nodes { quantity amount { amount } status } } }"
        async with asyncio.timeout(60):
            while True:
                await self.caller.get(run)
                await asyncio.sleep(0.3)
                found: list[dict[str, Any]] = (await self.caller.get(query))["invoiceCorrections"][
                    "nodes"
                ]
                if len(found) >= expected:
                    return found

    async def everything_holds(self) -> int:
        """Every invoice that was issued is explained to the cent, and comes out again; how many
        there are."""
        query = f"""{{ invoices(first: 100, filter: {{status: {{eq: FINALIZED}}}}) {{
          nodes {{ {_CHECKED} }} }} }}"""
        found = (await self.caller.get(query))["invoices"]["nodes"]
        for invoice in found:
            assert amount(invoice["explanation"][0]["result"]) == of(invoice, "amountDue")
            for line in invoice["lines"]:
                assert amount(line["explanation"][0]["result"]) == of(line, "total"), line
        await asyncio.gather(*(self._comes_out_again(invoice) for invoice in found))
        return len(found)

    async def _comes_out_again(self, invoice: dict[str, Any]) -> None:
        query = """query ($id: ID!) { invoiceReplay(id: $id) {
          ... on InvoiceReplay { identical differences { path stored replayed } } } }"""
        again = (await self.caller.get(query, id=invoice["id"]))["invoiceReplay"]
        assert again == {"identical": True, "differences": []}, (invoice["number"], again)


def amount(written: str) -> Decimal:
    return Decimal(written)


def of(shown: dict[str, Any], name: str) -> Decimal:
    """An amount of an invoice, a line or a credit note."""
    return amount(shown[name]["amount"])


def amounts(invoice: dict[str, Any]) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Subtotal, discount, tax and total."""
    return (
        of(invoice, "subtotal"),
        of(invoice, "discount"),
        of(invoice, "tax"),
        of(invoice, "total"),
    )


def told(invoice: dict[str, Any]) -> tuple[str, Decimal]:
    """Why an invoice was written, and what it comes to."""
    return invoice["reason"], of(invoice, "total")


def lines(invoice: dict[str, Any]) -> list[tuple[str, Decimal]]:
    return [(line["description"], of(line, "amount")) for line in invoice["lines"]]
