"""PDFs in real S3: stored once, under a key cut from their content, and made again when lost."""

import hashlib

import pytest

from app.customers import actions as customers
from app.infra.postgres import fetch
from app.invoicing import actions, billing, reads
from app.invoicing.invoice import InvoiceStatus
from app.kernel.copies import replace
from app.kernel.errors import NotFound
from app.kernel.scope import SYSTEM
from tests.invoicing.test_billing import FEB, MAR, draft_due, everything, invoices
from tests.invoicing.test_lifecycle import draft, finalize, finalize_one
from tests.invoicing.test_pdf import text_of
from tests.invoicing.world import link_to, pdf_of


async def print_all(world):
    return (await billing.print_page(world.services, world.page())).tally


async def test_every_issued_invoice_gets_its_pdf(world):
    for name in ("acme", "beta"):
        await world.subscribe(name)
    await draft_due(world, MAR)
    await finalize(world, MAR)
    assert (await print_all(world))["printed"] == 6
    storage = world.services.storage
    for invoice in await invoices(world):
        body = await storage.get(invoice.pdf_key)
        digest = hashlib.sha256(body).hexdigest()
        folder = f"{world.scope.tenant_id}/{world.scope.environment_id}/invoices"
        assert invoice.pdf_key == f"{folder}/{invoice.id}/{digest}.pdf"
        assert invoice.number in text_of(body)
    assert await fetch(world.scope, "SELECT 1 FROM due_items WHERE kind = 'invoice.print'") == []
    before = await everything(world)
    assert (await print_all(world))["printed"] == 0
    assert await everything(world) == before


async def test_pages_of_few_pdfs_follow_one_another(world, monkeypatch):
    monkeypatch.setattr(billing, "_PRINTED", 2)
    for name in ("acme", "beta"):
        await world.subscribe(name)
    await draft_due(world, MAR)
    await finalize(world, MAR)
    page, printed = world.page(), []
    while page is not None:
        done = await billing.print_page(world.services, page)
        printed.append(done.tally["printed"])
        page = None if done.after is None else replace(page, after=done.after)
    assert printed == [2, 2, 2, 0]
    assert all(invoice.pdf_key for invoice in await invoices(world))


async def test_a_pdf_that_was_lost_is_made_again_to_the_byte(world):
    issued = await finalize_one(world, await draft(world))
    await print_all(world)
    stored = await reads.get(world.scope, issued.id)
    storage = world.services.storage
    body = await pdf_of(world, issued.id)
    await storage.delete(stored.pdf_key)
    assert await pdf_of(world, issued.id) == body


async def test_a_later_change_of_the_customer_does_not_change_what_was_issued(world):
    issued = await finalize_one(world, await draft(world))
    body = await pdf_of(world, issued.id)
    await customers.update(world.scope, issued.customer_id, {"name": "Renamed"}, by=SYSTEM, at=FEB)
    assert await pdf_of(world, issued.id) == body


async def test_a_draft_is_printed_as_one_and_not_stored(world):
    made = await draft(world)
    before = await everything(world)
    text = text_of(await pdf_of(world, made.id))
    assert "DRAFT" in text
    assert "Acme" in text
    assert "assigned when issued" in text
    assert await link_to(world, made) is None
    assert await everything(world) == before


async def test_a_link_is_made_for_what_is_issued_even_before_the_run_has_printed_it(world):
    issued = await finalize_one(world, await draft(world))
    url = await link_to(world, issued)
    assert (await reads.get(world.scope, issued.id)).pdf_key.split("/")[-1] in url


async def test_a_void_invoice_is_printed_as_void(world):
    issued = await finalize_one(world, await draft(world))
    await print_all(world)
    gone = await actions.void(world.scope, issued.id, reason="a mistake", by=SYSTEM, at=FEB)
    assert (gone.status, gone.pdf_key) == (InvoiceStatus.VOID, None)
    text = text_of(await pdf_of(world, issued.id))
    assert "VOID" in text
    assert "a mistake" in text
    assert (await print_all(world))["printed"] == 0


async def test_the_pdf_of_an_unknown_invoice_is_not_found(world):
    with pytest.raises(NotFound):
        await pdf_of(world, "inv_01HZZZZZZZZZZZZZZZZZZZZZZZ")
