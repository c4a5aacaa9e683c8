"""Numbers without gaps: whatever the format, however it changes, whoever has a series apart."""

import asyncio
from datetime import UTC, datetime

import pytest

from app.customers import actions as customers
from app.infra.postgres import fetch
from app.invoicing import actions, billing, numbering
from app.invoicing.invoice import InvoiceStatus
from app.kernel.scope import SYSTEM
from app.tenants.settings import InvoiceSettings
from tests.invoicing.test_billing import FEB, draft_due, invoices
from tests.invoicing.test_lifecycle import draft, finalize, finalize_one
from tests.invoicing.world import JAN, set_up

NEW_YEARS_EVE = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        ("none", "INV-00007"),
        ("YY", "INV-26-00007"),
        ("YYYY", "INV-2026-00007"),
        ("YYMM", "INV-2601-00007"),
        ("YYYYMM", "INV-202601-00007"),
        ("YYMMDD", "INV-260101-00007"),
        ("YYYYMMDD", "INV-20260101-00007"),
    ],
)
def test_the_date_of_a_number_is_that_of_the_settings_zone(date, shown):
    settings = InvoiceSettings(number_date=date, number_timezone="Europe/Berlin")
    head = numbering.head(settings, settings.number_prefix, NEW_YEARS_EVE)
    assert numbering.number(settings, head, 7) == shown


@pytest.mark.parametrize(
    ("separator", "digits", "count", "shown"),
    [("-", 1, 12, "SKY-2025-12"), ("", 3, 12, "SKY2025012"), ("/", 2, 1234, "SKY/2025/1234")],
)
def test_a_count_is_padded_and_never_cut(separator, digits, count, shown):
    settings = InvoiceSettings(number_separator=separator, number_digits=digits, number_date="YYYY")
    assert numbering.number(settings, numbering.head(settings, "SKY", FEB), count) == shown


async def test_a_new_format_counts_from_its_start_and_an_old_one_goes_on(world):
    async def issued(name):
        return (await finalize_one(world, await draft(world, name))).number

    given = [await issued("a"), await issued("b")]
    await set_up(world, number_date="YYYY", number_start=100, number_digits=3)
    given += [await issued("c"), await issued("d")]
    # Wider: the counter is the same.
    await set_up(world, number_digits=5)
    given.append(await issued("e"))
    await set_up(world, number_date=None)
    given.append(await issued("f"))
    assert given == [
        "INV-202501-00001", "INV-202501-00002", "INV-2025-100", "INV-2025-101", "INV-2025-00102",
        "INV-202501-00003",
    ]  # fmt: skip


async def test_a_customer_with_a_prefix_has_a_series_of_its_own(world):
    for name in ("acme", "beta", "gamma"):
        await world.customer(name)
    beta = world.customers["beta"].id
    await customers.update(world.scope, beta, {"invoice_prefix": "BETA"}, by=SYSTEM, at=JAN)
    for name in ("acme", "beta", "gamma"):
        await world.subscribe(name)
    await draft_due(world, FEB)
    assert (await finalize(world, FEB))["finalized"] == 6
    numbers = {
        name: sorted(i.number for i in await invoices(world) if i.customer_id == customer.id)
        for name, customer in world.customers.items()
    }
    assert numbers["beta"] == ["BETA-202502-00001", "BETA-202502-00002"]
    assert sorted(numbers["acme"] + numbers["gamma"]) == [
        f"INV-202502-{n:05d}" for n in range(1, 5)
    ]


async def test_series_that_finalize_at_once_neither_wait_for_ever_nor_leave_gaps(world):
    for n in range(8):
        name = f"customer-{n}"
        await world.customer(name)
        patch = {"invoice_prefix": f"P{n % 2}"}
        await customers.update(world.scope, world.customers[name].id, patch, by=SYSTEM, at=JAN)
        await world.subscribe(name)
    await draft_due(world, FEB)
    drafts = [invoice.id for invoice in await invoices(world)]
    await asyncio.gather(
        *(actions.finalize_many(world.scope, drafts[n::4], by=SYSTEM, at=FEB) for n in range(4))
    )
    assert sorted(i.number for i in await invoices(world)) == sorted(
        f"P{p}-202502-{n:05d}" for p in (0, 1) for n in range(1, 9)
    )


async def test_a_series_that_meets_an_older_one_keeps_no_other_from_being_issued(world):
    taken = await finalize_one(world, await draft(world, "acme"))
    assert taken.number == "INV-202501-00001"
    for name in ("beta", "gamma"):
        await world.subscribe(name)
    await set_up(world, number_separator="", number_date="none")
    await draft_due(world, JAN)
    # Another counter, which writes the same text.
    patch = {"invoice_prefix": "INV-202501-"}
    await customers.update(world.scope, world.customers["beta"].id, patch, by=SYSTEM, at=JAN)
    done = await billing.finalize_page(world.services, world.page(JAN))
    assert (done.tally["finalized"], done.tally["failed"]) == (1, 1)
    found = {i.customer_id: i for i in await invoices(world)}
    assert found[world.customers["gamma"].id].number == "INV00001"
    assert found[world.customers["beta"].id].status is InvoiceStatus.DRAFT
    (left,) = await fetch(world.scope, "SELECT last_error FROM due_items WHERE kind LIKE '%final%'")
    assert left["last_error"].startswith("NumberTaken")
