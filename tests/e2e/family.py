"""The story of a family: Eve pays for Fay and Gus, on one invoice of all that falls due together.

With prices of its own, addons, phases and a move to another plan. An addon at 6.2 costs 0.2 a day
in January.
"""

import asyncio
from decimal import Decimal as D
from io import BytesIO
from typing import Any, Final

from pypdf import PdfReader

from tests.e2e.telling import Book, amounts, lines, of, told

# In force: the opening, Fay's addon, February, and March as it was written anew.
ISSUED = 4
_SOLD: Final = {
    "currency": "USD",
    "effectiveFrom": "2025-01-01T00:00:00Z",
    "charge": "FIXED",
    "timing": "ADVANCE",
}


async def signs_up(book: Book) -> None:
    """1 January: two seats at a price of Fay's own, one of Gus's with an addon and a ramp."""
    await _desk(book)
    await _person(book, "eve", consolidateInvoices=True)
    for child in ("fay", "gus"):
        await _person(book, child, parentId=book.ids["eve"], parentPays=True)
    await _subscribe(book, "eve", "Metered", familyUsage=True, linesPerCustomer=True)
    own = {"priceId": book.ids["Desk seats"], "model": {"perUnit": {"unitAmount": "15.5"}}}
    await _subscribe(book, "fay", "Desk", overrides=[{**own, "quantity": "2"}])
    ramp = [
        {"startsAt": f"2025-0{month}-01T00:00:00Z", "quantities": [_seats(book, quantity)]}
        for month, quantity in ((2, "2"), (3, "3"))
    ]
    await _subscribe(book, "gus", "Desk", addons=[{"addonId": book.ids["Support"]}], phases=ramp)


async def _desk(book: Book) -> None:
    plan = await book.make("Desk", "planCreate", "Plan", name="Desk", lookupKey="desk")
    await book.make(
        "Desk seats", "priceCreate", "Price", **_SOLD, planId=plan, displayName="Desks",
        model={"perUnit": {"unitAmount": "31"}},
    )  # fmt: skip
    addon = await book.make("Support", "addonCreate", "Addon", name="Support", lookupKey="support")
    await book.make(
        "Support fee", "priceCreate", "Price", **_SOLD, addonId=addon, displayName="Support",
        model={"flat": {"flatAmount": "6.2"}},
    )  # fmt: skip


def _seats(book: Book, quantity: str) -> dict[str, str]:
    return {"priceId": book.ids["Desk seats"], "quantity": quantity}


async def _person(book: Book, name: str, **given: Any) -> None:
    await book.make(
        name, "customerCreate", "Customer", externalId=name, name=name.title(), currency="USD",
        testClockId=book.clock, **given,
    )  # fmt: skip


async def _subscribe(book: Book, name: str, plan: str, **given: Any) -> None:
    await book.make(
        f"{name}'s plan", "subscriptionCreate", "Subscription",
        customerId=book.ids[name], planId=book.ids[plan], **given,
    )  # fmt: skip


async def is_asked_once(book: Book) -> None:
    """By 11 January: 2 seats at 15.5, one at 31, and the addon."""
    await book.use("fay", [("f1", "2025-01-05T10:00", 100)])
    await book.use("gus", [("g1", "2025-01-06T10:00", 50)])
    fays, guss, whole = await book.invoices("eve")
    assert (fays["status"], guss["status"]) == ("CONSOLIDATED", "CONSOLIDATED")
    assert told(whole) == ("SUBSCRIPTION_CREATE", D("68.2"))
    assert sorted(lines(whole)) == [("Desks", D(31)), ("Desks", D(31)), ("Support", D("6.2"))]
    assert await book.invoices("fay") == []


async def passes_support_on(book: Book) -> None:
    """26 January, noon, 5.5 of 31 days are left: Gus lets the addon go, and Fay takes it."""
    query = "query ($id: ID!) { subscription(id: $id) { addons { id } } }"
    found = await book.caller.get(query, id=book.ids["gus's plan"])
    held = found["subscription"]["addons"][0]["id"]
    gone = await book.change("subscriptionAddonDetach", "gus", subscriptionAddonId=held)
    assert [of(note, "total") for note in gone["creditNotes"]] == [D("1.1")]
    taken = await book.change("subscriptionAddonAttach", "fay", addonId=book.ids["Support"])
    assert (of(taken["invoice"], "total"), taken["creditNotes"]) == (D("1.1"), [])
    listed = await book.change(
        "subscriptionPriceRestore", "fay", lineItemId=await book.line("fay", "Desks"),
        mode="PERIOD_END",
    )  # fmt: skip
    assert (listed["status"], listed["effectiveAt"]) == ("SCHEDULED", "2025-02-01T00:00:00Z")
    opening = next(each for each in await book.invoices("eve") if told(each)[1] == D("68.2"))
    assert (of(opening, "amountDue"), of(opening, "amountRemaining")) == (D("68.2"), D("67.1"))


async def february_begins(book: Book) -> None:
    """150 requests of the two at 0.1, Fay's seats as listed and the addon, Gus's second seat."""
    *_, whole = await book.invoices("eve")
    assert sorted(lines(whole)) == [
        ("Desks", D(62)),
        ("Desks", D(62)),
        ("Requests", D(5)),
        ("Requests", D(10)),
        ("Support", D("6.2")),
    ]
    assert told(whole) == ("SUBSCRIPTION_CYCLE", D("145.2"))
    await book.use("fay", [("f2", "2025-01-30T10:00", 30)])  # late
    printed = await _printed(book, whole["id"])
    assert all(word in printed for word in ("Fay: Desk", "Gus: Desk", "Eve: Metered", "$145.20"))
    await _desks_cost_less(book)


async def _desks_cost_less(book: Book) -> None:
    """There is a plan at 28 a seat, for Fay from March on; Gus has another agreement."""
    plan = await book.make("Loft", "planCreate", "Plan", name="Loft", lookupKey="loft")
    price = await book.make(
        "Loft seats", "priceCreate", "Price", **_SOLD, planId=plan, displayName="Desks",
        model={"perUnit": {"unitAmount": "28"}},
    )  # fmt: skip
    chosen = {"customerId": {"eq": book.ids["fay"]}}
    made = await book.caller.do(
        "planMigrationStart", "PlanMigration", "id total", filter=chosen, planId=plan,
        quantities=[{"priceId": price, "quantity": "2"}],
    )  # fmt: skip
    assert made["total"] == 1
    await book.caller.get("mutation { billingRunStart { ... on BillingRun { workflowId } } }")
    query = """query ($id: ID!) { planMigration(id: $id) {
      status changed items { nodes { status failure { code message } } } } }"""
    async with asyncio.timeout(60):
        while True:
            moved = (await book.caller.get(query, id=made["id"]))["planMigration"]
            if moved["status"] == "COMPLETED":
                break
            await asyncio.sleep(0.2)
    assert moved["changed"] == 1, moved


async def march_begins(book: Book) -> None:
    """What came late is asked for, with two seats at 28, three at 31, and the addon."""
    *_, whole = await book.invoices("eve")
    expected = [
        ("Desks", D(56)),
        ("Desks", D(93)),
        ("Requests", D(0)),
        ("Requests (correction)", D(3)),
        ("Support", D("6.2")),
    ]
    assert sorted(lines(whole)) == expected
    anew = await book.invoice("invoiceReissue", id=whole["id"], reason="Another address")
    issued = await book.invoice("invoiceFinalize", id=anew["id"])
    assert (sorted(lines(issued)), amounts(issued)) == (expected, amounts(whole))


async def _printed(book: Book, invoice_id: str) -> str:
    answer = await book.caller.rest("GET", f"/v1/invoices/{invoice_id}/pdf")
    assert answer.status == 200, answer.body
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(answer.body)).pages)
