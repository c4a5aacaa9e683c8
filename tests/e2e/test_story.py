"""A quarter in the lives of five customers and a family, from the first draft to the last note.

Everything goes through the public API, on the real servers; time is a test clock's. Every amount
stands here as one would work it out by hand.
"""

import asyncio
from decimal import Decimal as D
from io import BytesIO
from typing import Any

from pypdf import PdfReader

from app.config import Settings
from tests.e2e import family
from tests.e2e.conftest import Issue
from tests.e2e.places import Caller, calling
from tests.e2e.services import Services
from tests.e2e.telling import Book, amounts, lines, of, told
from tests.processes import Processes

# Usage that has a threshold is looked at every day of the clock.
_ENVIRON = {"TARIFF_BILLING_THRESHOLD_INTERVAL_SECONDS": "86400"}
_ADDRESS = {"line1": "1 Main St", "city": "Berlin", "postalCode": "10115", "country": "DE"}


async def test_a_quarter_of_every_verb(
    topics: Settings, processes: Processes, issue: Issue
) -> None:
    services = Services(processes, _ENVIRON)
    key, _ = await asyncio.gather(issue("Story", environment="Development"), services.start())
    async with calling(services.url, key) as caller:
        book = await opened(caller)
        await people_sign_up(book)
        await family.signs_up(book)
        await ten_days_later_the_trial_ends(book)
        await family.is_asked_once(book)
        await in_the_middle_of_january_seats_are_added(book)
        await family.passes_support_on(book)
        await february_begins(book)
        await family.february_begins(book)
        await what_was_billed_changes(book)
        await ada_renews_and_goes_on_to_a_larger_plan(book)
        await march_begins(book)
        await family.march_begins(book)
        await ada_is_back_on_the_smaller_plan(book)
        await dee_is_billed_by_hand(book)
        # Five of Ada's, four of Bob's, three of Cy's, two of Dan's, two of Dee's.
        assert await book.everything_holds() == 16 + family.ISSUED


async def opened(caller: Caller) -> Book:
    """Two plans of seats and requests, one of requests alone, a coupon and a tax."""
    seller = {"country": "DE", "city": "Berlin", "postalCode": "10115", "taxId": "DE123456789"}
    await caller.do("settingsUpdate", "EnvironmentSettings", "__typename", seller=seller)
    clock = await caller.do(
        "testClockCreate", "TestClock", "id", name="2025", frozenAt="2025-01-01T00:00:00Z"
    )
    book = Book(caller, clock["id"])
    meter = await book.make(
        "meter", "meterCreate", "Meter", name="Requests", eventName="request",
        aggregation={"kind": "SUM", "property": "count"},
    )  # fmt: skip
    feature = await book.make(
        "feature", "featureCreate", "Feature", name="Requests", lookupKey="requests",
        type="METERED", meterId=meter,
    )  # fmt: skip
    tiers = [{"upTo": "100", "unitAmount": "0.5"}, {"unitAmount": "0.1"}]
    for plan, seat, model in (
        ("Pro", "10", {"graduated": {"tiers": tiers}}),
        ("Team", "25", {"perUnit": {"unitAmount": "0.2"}}),
        ("Metered", None, {"perUnit": {"unitAmount": "0.1"}}),
    ):
        await _plan(book, plan, seat, model, feature)
    await book.make(
        "WELCOME", "couponCreate", "Coupon", name="Welcome", code="WELCOME",
        off={"percent": "10"},
    )  # fmt: skip
    await book.make(
        "VAT", "taxRateCreate", "TaxRate", name="VAT", code="vat", rate={"percent": "20"}
    )
    return book


async def _plan(book: Book, name: str, seat: str | None, model: Any, feature: str) -> None:
    plan = await book.make(name, "planCreate", "Plan", name=name, lookupKey=name.lower())
    sold: dict[str, Any] = {
        "planId": plan, "currency": "USD", "effectiveFrom": "2025-01-01T00:00:00Z",
    }  # fmt: skip
    if seat is not None:
        await book.make(
            f"{name} seats", "priceCreate", "Price", **sold, displayName="Seats", charge="FIXED",
            timing="ADVANCE", model={"perUnit": {"unitAmount": seat}},
        )  # fmt: skip
    await book.make(
        f"{name} requests", "priceCreate", "Price", **sold, displayName="Requests",
        charge="USAGE", featureId=feature, model=model,
    )  # fmt: skip


async def people_sign_up(book: Book) -> None:
    """1 January: Ada tries for ten days, Bob pays at once, Cy promises, Dan counts, Dee asks."""
    for name in ("ada", "bob", "cy", "dan", "dee"):
        await book.make(
            name, "customerCreate", "Customer", externalId=name, name=name.title(),
            currency="USD", testClockId=book.clock, address=_ADDRESS, email=f"{name}@example.com",
        )  # fmt: skip
    await book.make(
        "ada's VAT", "taxAssociationCreate", "TaxAssociation",
        taxRateId=book.ids["VAT"], customerId=book.ids["ada"],
    )  # fmt: skip
    await _subscribe(
        book, "ada", "Pro", draft=True, trialDays=10, couponCodes=["welcome"],
        quantities=[{"priceId": book.ids["Pro seats"], "quantity": "2"}],
    )  # fmt: skip
    await _subscribe(book, "bob", "Pro")
    promised = [{"amount": "100", "overageFactor": "1.5", "trueUp": True}]
    await _subscribe(book, "cy", "Metered", autoInvoiceThreshold="60", commitments=promised)
    await _subscribe(book, "dan", "Metered")
    tried = await book.subscription("subscriptionActivate", "ada")
    assert tried["status"] == "TRIALING"
    assert [(each["kind"], each["at"]) for each in tried["scheduledChanges"]] == [
        ("TRIAL_END", "2025-01-11T00:00:00Z")
    ]
    paused = await book.subscription(
        "subscriptionPause", "bob", mode="AT", at="2025-01-11T00:00:00Z",
        resumesAt="2025-01-21T00:00:00Z",
    )  # fmt: skip
    assert [each["kind"] for each in paused["scheduledChanges"]] == ["PAUSE", "RESUME"]


async def _subscribe(book: Book, name: str, plan: str, **given: Any) -> None:
    await book.make(
        f"{name}'s plan", "subscriptionCreate", "Subscription",
        customerId=book.ids[name], planId=book.ids[plan], **given,
    )  # fmt: skip


async def ten_days_later_the_trial_ends(book: Book) -> None:
    """What is due on 11 January is known before: 2 seats, 10 % off, 20 % on top."""
    seen = await _next_invoice(book, "ada")
    assert amounts(seen) == (D(20), D(2), D("3.6"), D("21.6"))
    await book.use("bob", [("b1", "2025-01-05T10:00", 10), ("b2", "2025-01-15T10:00", 99)])
    await book.use("cy", [("c1", "2025-01-05T10:00", 700), ("c2", "2025-01-20T10:00", 480)])
    await book.use("dan", [(f"d{n}", "2025-01-05T10:00", 100) for n in (1, 2, 3)])
    await book.advance("2025-01-11T00:00:00Z")
    (first,) = await book.invoices("ada")
    assert (first["reason"], amounts(first)) == ("TRIAL_END", amounts(seen))
    (opening,) = await book.invoices("bob")
    # It is known that he pauses: 10 of 31 days.
    assert told(opening) == ("SUBSCRIPTION_CREATE", D("3.23"))
    # 700 requests at 0.1 came to more than 60: Cy is asked ahead of the month's end.
    (ahead,) = await book.invoices("cy")
    assert told(ahead) == ("THRESHOLD", D(70))


async def _next_invoice(book: Book, name: str) -> dict[str, Any]:
    query = """query ($id: ID!) { invoicePreview(subscriptionId: $id) { ... on InvoicePreview {
      reason subtotal { amount } discount { amount } tax { amount } total { amount } } } }"""
    found = await book.caller.get(query, id=book.ids[f"{name}'s plan"])
    seen: dict[str, Any] = found["invoicePreview"]
    return seen


async def in_the_middle_of_january_seats_are_added(book: Book) -> None:
    """Half of Ada's 31 days are left at noon of the 26th; Bob is back, and thinks of leaving."""
    await book.use("ada", [("a1", "2025-01-12T10:00", 80), ("a2", "2025-01-20T10:00", 40)])
    await book.use("bob", [("b3", "2025-01-22T10:00", 10)])
    await book.advance("2025-01-26T12:00:00Z")
    wanted = {
        "id": book.ids["ada's plan"], "lineItemId": await book.line("ada"), "quantity": "4",
    }  # fmt: skip
    seen = await book.caller.get(
        """query ($i: SubscriptionChangePreviewInput!) { subscriptionChangePreview(input: $i) {
          ... on SubscriptionChangePreview { direction creditNotes { total { amount } }
            invoice { total { amount } } } } }""",
        i={"quantity": wanted},
    )
    made = await book.change("subscriptionQuantityChange", "ada", **wanted)
    # Half of 2 seats: 10, less a discount of 1, with a tax of 1.8. Half of 4 seats: 20 and 4.
    assert (made["status"], made["direction"]) == ("APPLIED", "UPGRADE")
    assert [of(note, "total") for note in made["creditNotes"]] == [D("10.8")]
    assert (made["invoice"]["reason"], of(made["invoice"], "total")) == (
        "SUBSCRIPTION_UPDATE", D(24),
    )  # fmt: skip
    preview = seen["subscriptionChangePreview"]
    assert preview["creditNotes"] == made["creditNotes"]
    assert preview["invoice"]["total"] == made["invoice"]["total"]
    fewer = {"lineItemId": await book.line("ada"), "quantity": "3", "mode": "PERIOD_END"}
    later = await book.change("subscriptionQuantityChange", "ada", **fewer)
    assert (later["status"], later["effectiveAt"]) == ("SCHEDULED", "2025-02-11T00:00:00Z")
    leaving = await book.subscription("subscriptionCancel", "bob", mode="PERIOD_END")
    assert [(each["kind"], each["at"]) for each in leaving["scheduledChanges"]] == [
        ("CANCEL", "2025-02-01T00:00:00Z")
    ]
    staying = await book.subscription("subscriptionUncancel", "bob")
    assert (staying["status"], staying["scheduledChanges"]) == ("ACTIVE", [])


async def february_begins(book: Book) -> None:
    """Months end: what was used in Bob's pause is free, and Cy used more than was promised."""
    await book.advance("2025-02-01T00:00:00Z")
    _, back, january = await book.invoices("bob")
    assert told(back) == ("SUBSCRIPTION_UPDATE", D("3.55"))  # 11 of 31 days
    assert lines(january) == [("Seats", D(10)), ("Requests", D(10))]  # 20 requests at 0.5
    _, rest = await book.invoices("cy")
    # 1,180 requests are 118: 100 as promised, 18 at 1.5 times as much; of 127, 70 were asked for.
    assert told(rest) == ("SUBSCRIPTION_CYCLE", D(57))
    (counted,) = await book.invoices("dan")
    assert told(counted) == ("SUBSCRIPTION_CYCLE", D(30))
    await book.subscription("subscriptionPause", "bob")  # now


async def what_was_billed_changes(book: Book) -> None:
    """Of Dan's, 200 requests come late, 100 are taken back, 100 were 150: 450, 15 more. Of Fay's,
    30 come late."""
    await book.use("dan", [("d4", "2025-01-31T10:00", 200), ("d5", "2025-02-02T10:00", 10)])
    await book.caller.do("eventVoid", "EventCorrection", "kind", eventId="d1", reason="a test")
    await book.caller.do(
        "eventAmend", "EventCorrection", "kind", eventId="d2", reason="miscounted",
        propertiesText='{"count": 150}',
    )  # fmt: skip
    await book.corrections(2)


async def ada_renews_and_goes_on_to_a_larger_plan(book: Book) -> None:
    """11 February: 3 seats again, and 120 requests: 50 for the first hundred, 2 for the rest."""
    seen = await _next_invoice(book, "ada")  # with the seats of the change that is to come
    await book.use("ada", [("a3", "2025-02-20T10:00", 50), ("a4", "2025-02-27T10:00", 50)])
    await book.advance("2025-02-25T00:00:00Z")
    *_, cycle = await book.invoices("ada")
    assert lines(cycle) == [("Seats", D(30)), ("Requests", D(52))]
    assert amounts(cycle) == amounts(seen) == (D(82), D(0), D("16.4"), D("98.4"))
    seats = [{"priceId": book.ids["Team seats"], "quantity": "3"}]
    made = await book.change(
        "subscriptionPlanChange", "ada", planId=book.ids["Team"], quantities=seats
    )
    # 14 of 28 days: 15 and a tax of 3 given back, 37.5 and a tax of 7.5 asked for.
    assert made["direction"] == "UPGRADE"
    assert [of(note, "total") for note in made["creditNotes"]] == [D(18)]
    assert of(made["invoice"], "total") == D(45)
    seats = [{"priceId": book.ids["Pro seats"], "quantity": "3"}]
    back = await book.change(
        "subscriptionPlanChange", "ada", planId=book.ids["Pro"], quantities=seats,
        mode="PERIOD_END",
    )  # fmt: skip
    assert (back["status"], back["effectiveAt"]) == ("SCHEDULED", "2025-03-11T00:00:00Z")
    resumed = await book.subscription("subscriptionResume", "bob")
    assert resumed["status"] == "ACTIVE"


async def march_begins(book: Book) -> None:
    """Cy used nothing of what was promised; Dan's corrections are asked for; Bob has enough."""
    seen = await _next_invoice(book, "dan")
    await book.advance("2025-03-01T00:00:00Z")
    *_, missing = await book.invoices("cy")
    assert lines(missing) == [("Requests", D(0)), ("True-up to the commitment", D(100))]
    *_, corrected = await book.invoices("dan")
    assert lines(corrected) == [("Requests", D(1)), ("Requests (correction)", D(15))]
    assert amounts(corrected) == amounts(seen)
    gone = await book.subscription("subscriptionCancel", "bob", mode="NOW")
    assert gone["status"] == "CANCELED"


async def ada_is_back_on_the_smaller_plan(book: Book) -> None:
    """Requests cost what they cost when they were made: 50 at 0.5, and 50 at 0.2."""
    await book.advance("2025-03-11T00:00:00Z")
    *_, cycle = await book.invoices("ada")
    assert sorted(lines(cycle)) == [("Requests", D(10)), ("Requests", D(25)), ("Seats", D(30))]
    assert amounts(cycle) == (D(65), D(0), D(13), D(78))
    await _is_downloaded(book, cycle)
    *_, march, last = await book.invoices("bob")
    assert lines(march) == [("Seats", D(10)), ("Requests", D(0))]
    assert (lines(last), last["status"]) == ([("Requests", D(0))], "SKIPPED")


async def _is_downloaded(book: Book, invoice: dict[str, Any]) -> None:
    files = {}
    for kind in ("pdf", "csv", "json", "ubl"):
        answer = await book.caller.rest("GET", f"/v1/invoices/{invoice['id']}/{kind}")
        assert answer.status == 200, (kind, answer.body)
        files[kind] = answer.body
    printed = "\n".join(page.extract_text() for page in PdfReader(BytesIO(files["pdf"])).pages)
    assert invoice["number"] in printed
    assert "$78.00" in printed
    assert len(files["csv"].decode().splitlines()) == 1 + 3
    assert files["json"]["number"] == invoice["number"]
    assert '<cbc:PayableAmount currencyID="USD">78.00<' in files["ubl"].decode()


async def dee_is_billed_by_hand(book: Book) -> None:
    """A draft is edited, issued, voided and written anew; then credited, and the rest lost."""
    draft = await book.invoice(
        "invoiceCreate", customerId=book.ids["dee"],
        lines=[
            {"description": "Setup", "unitAmount": "30", "quantity": "2"},
            {"description": "Travel", "unitAmount": "15"},
        ],
    )  # fmt: skip
    setup, travel = (line["id"] for line in draft["lines"])
    draft = await book.invoice(
        "invoiceUpdate", id=draft["id"], changeLines=[{"id": setup, "quantity": "3"}],
        removeLines=[travel], addLines=[{"description": "Support", "unitAmount": "5"}],
    )  # fmt: skip
    assert lines(draft) == [("Setup", D(90)), ("Support", D(5))]
    wrong = await book.invoice("invoiceFinalize", id=draft["id"])
    assert (wrong["status"], of(wrong, "amountDue")) == ("FINALIZED", D(95))
    anew = await book.invoice("invoiceReissue", id=wrong["id"], reason="Wrong address")
    issued = await book.invoice("invoiceFinalize", id=anew["id"])
    assert (lines(issued), issued["number"] != wrong["number"]) == (lines(draft), True)
    await _credited(book, issued)


async def _credited(book: Book, issued: dict[str, Any]) -> None:
    setup, support = (line["id"] for line in issued["lines"])

    async def note(**given: Any) -> dict[str, Any]:
        return await book.caller.do(
            "creditNoteCreate", "CreditNote",
            "total { amount } adjusted { amount } balance { amount }",
            invoiceId=issued["id"], reason="SERVICE_ISSUE", **given,
        )  # fmt: skip

    less = await note(lines=[{"lineId": support}])
    assert (of(less, "adjusted"), of(less, "balance")) == (D(5), D(0))
    nothing_paid = await book.caller.ask(
        """mutation ($i: CreditNoteCreateInput!) { creditNoteCreate(input: $i) {
          ... on Problem { code } } }""",
        i={"invoiceId": issued["id"], "reason": "OTHER", "kind": "REFUND"},
    )
    assert nothing_paid["data"] == {"creditNoteCreate": {"code": "BEYOND_PAID"}}
    kept = await note(lines=[{"lineId": setup, "amount": "20"}], kind="CREDIT")
    assert (of(kept, "adjusted"), of(kept, "balance")) == (D(0), D(20))
    more = await book.invoice(
        "invoiceCreate", customerId=book.ids["dee"], finalize=True,
        lines=[{"description": "Training", "unitAmount": "50"}],
    )  # fmt: skip
    assert (of(more, "credited"), of(more, "amountDue")) == (D(20), D(30))
    lost = await book.invoice("invoiceWriteOff", id=more["id"], reason="Nobody answers")
    assert lost["paymentStatus"] == "UNCOLLECTIBLE"
    void = await book.invoice(
        "invoiceCreate",
        customerId=book.ids["dee"],
        finalize=True,
        lines=[{"description": "Twice", "unitAmount": "50"}],
    )
    void = await book.invoice("invoiceVoid", id=void["id"], reason="Asked for twice")
    assert void["status"] == "VOID"
