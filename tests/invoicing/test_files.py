"""Invoices as files: for spreadsheets and programs, and with a logo on the printed ones."""

import csv
import io
import struct
import zlib
from decimal import Decimal

import httpx
import orjson
import pytest

from app.infra.postgres import fetch
from app.invoicing import actions, explanation
from app.invoicing.actions import FileKind
from app.invoicing.invoice import InvoiceStatus
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM, Scope
from app.tenants.reads import environments
from tests.invoicing.test_billing import FEB, draft_due, everything, invoices, lines
from tests.invoicing.test_by_hand import SETUP, create
from tests.invoicing.test_lifecycle import draft, finalize_one
from tests.invoicing.test_pdf import text_of
from tests.invoicing.world import JAN, link_to, pdf_of, set_up

# Those that any invoice can be had as; for UBL see test_ubl.py.
KINDS = [kind for kind in FileKind if kind is not FileKind.UBL]


def png(width=8, height=4):
    """A red rectangle."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * width) * height
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


async def download(world, invoice, kind, **options):
    storage = world.services.storage
    return await actions.download(world.scope, invoice.id, kind, storage, **options)


async def cycle(world):
    await world.subscribe("acme")
    await world.use("acme", [(JAN, "120", "eu"), (JAN, "5", "us")])
    await draft_due(world, FEB)
    return (await invoices(world))[-1]


async def test_a_spreadsheet_has_one_row_for_each_line(world):
    issued = await finalize_one(world, await cycle(world), at=FEB)
    file = await download(world, issued, FileKind.CSV)
    assert (file.name, file.media_type) == ("INV-202502-00001.csv", "text/csv; charset=utf-8")
    assert file.body.count(b"\r\n") == 5
    assert b"\n" not in file.body.replace(b"\r\n", b"")
    rows = list(csv.DictReader(io.StringIO(file.body.decode(), newline="")))
    found = [
        (r["position"], r["kind"], r["description"], r["group"], r["quantity"], r["amount"])
        for r in rows
    ]
    assert found == [
        ("1", "fixed", "Platform fee", "", "1", "20"),
        ("2", "usage", "Requests", "", "125", "55.5"),
        ("3", "usage", "Traffic", "region=eu", "120", "0.12"),
        ("4", "usage", "Traffic", "region=us", "5", "0.01"),
    ]
    first = rows[1]
    assert (first["invoice_number"], first["customer"], first["currency"], first["total"]) == (
        issued.number, "acme", "USD", "55.5",
    )  # fmt: skip
    assert (first["service_start"], first["service_end"]) == (
        "2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z",
    )  # fmt: skip
    assert [r["line_id"] for r in rows] == [line.id for line in await lines(world, issued)]


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1"])
async def test_what_looks_like_a_formula_is_text(world, start):
    written = replace(SETUP, description=f'{start} "quoted", with a comma', section=f"{start}!")
    made = await create(world, written)
    file = await download(world, made, FileKind.CSV)
    (row,) = csv.DictReader(io.StringIO(file.body.decode(), newline=""))
    assert row["description"] == f'\'{start} "quoted", with a comma'
    assert row["section"] == f"'{start}!"


async def test_json_holds_everything_and_explains_every_amount(world):
    issued = await finalize_one(world, await cycle(world), at=FEB)
    await actions.write_off(world.scope, issued.id, reason="gone", by=SYSTEM, at=FEB)
    file = await download(world, issued, FileKind.JSON)
    assert file.name == "INV-202502-00001.json"
    found = orjson.loads(file.body)
    assert (found["number"], found["status"], found["payment_status"]) == (
        issued.number, "finalized", "uncollectible",
    )  # fmt: skip
    assert found["totals"]["total"] == "75.63"
    assert found["period"] == {"start": "2025-01-01T00:00:00Z", "end": "2025-02-01T00:00:00Z"}
    assert found["bill_to"]["reference"] == "acme"
    assert [entry["kind"] for entry in found["settlements"]] == ["write_off"]
    assert "pdf_key" not in found
    assert len(found["lines"]) == 4
    for line in found["lines"]:
        assert explanation.evaluate(line["explanation"]) == Decimal(line["amount"])
    again = await download(world, issued, FileKind.JSON)
    assert again.body == file.body


async def test_drafts_and_void_invoices_are_files_too_and_no_links(world):
    made = await draft(world)
    for kind in KINDS:
        assert (await download(world, made, kind)).name == f"{made.id}.{kind.value}"
        assert await link_to(world, made, kind) is None
    issued = await finalize_one(world, made)
    gone = await actions.void(world.scope, issued.id, reason="x", by=SYSTEM, at=FEB)
    found = orjson.loads((await download(world, gone, FileKind.JSON)).body)
    assert (found["status"], found["void_reason"]) == ("void", "x")
    assert await link_to(world, gone, FileKind.JSON) is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_link_is_open_to_anyone_for_a_while(world, kind):
    issued = await finalize_one(world, await draft(world))
    url = await link_to(world, issued, kind)
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
    assert answer.content == (await download(world, issued, kind)).body
    assert f"{issued.number}.{kind.value}" in url


async def test_a_stranger_finds_no_file(world):
    made = await draft(world)
    foreign = Scope(new_id("ten"), world.scope.environment_id)
    for kind in FileKind:
        with pytest.raises(NotFound):
            await actions.download(foreign, made.id, kind, world.services.storage)


async def test_the_layout_is_the_one_it_was_issued_in_unless_another_is_asked_for(world):
    await set_up(world, documents={"layout": "detailed", "locale": "de-DE"})
    issued = await finalize_one(world, await cycle(world), at=FEB)
    await set_up(world, documents={"layout": "compact", "locale": None})
    text = text_of(await pdf_of(world, issued.id))
    assert "counted from 2 events" in text
    assert "75,63 $" in text.replace("\xa0", " ")
    other = await download(world, issued, FileKind.PDF, layout="compact")
    assert "counted from" not in text_of(other.body)
    assert "75,63 $" in text_of(other.body).replace("\xa0", " ")
    assert (await download(world, issued, FileKind.PDF, layout="detailed")).body == (
        await pdf_of(world, issued.id)
    )
    assert (issued.presentation.layout, issued.presentation.locale) == ("detailed", "de-DE")


async def test_a_logo_is_printed_on_what_is_issued_from_then_on(world):
    storage = world.services.storage
    before = await finalize_one(world, await draft(world, "acme"))
    await actions.set_logo(world.scope, png(), storage, by=SYSTEM, at=JAN)
    after = await finalize_one(world, await draft(world, "beta"))
    assert before.presentation.logo is None
    assert after.presentation.logo.startswith(f"{world.scope.tenant_id}/")
    body = await pdf_of(world, after.id)
    assert body.count(b"/Subtype/Image") == 1
    assert b"/Subtype/Image" not in await pdf_of(world, before.id)
    await actions.set_logo(world.scope, None, storage, by=SYSTEM, at=JAN)
    assert (await environments.settings(world.scope)).documents.logo == ""
    assert await pdf_of(world, after.id) == body


@pytest.mark.parametrize(
    "image",
    [b"", b"GIF89a", png()[:40], b"\x89PNG\r\n\x1a\n" + b"x" * 100, png() + b"x" * 70_000],
)
async def test_what_cannot_be_printed_is_no_logo(world, image):
    before = await everything(world)
    settings = await environments.settings(world.scope)
    with pytest.raises(Invalid) as refused:
        await actions.set_logo(world.scope, image, world.services.storage, by=SYSTEM, at=JAN)
    assert refused.value.code == "INVALID_IMAGE"
    assert await everything(world) == before
    assert await environments.settings(world.scope) == settings


async def test_a_skipped_invoice_is_a_file_of_nothing(world):
    await world.subscribe("acme", ends_at=FEB)
    await draft_due(world, FEB)
    last = (await invoices(world))[-1]
    assert last.status is InvoiceStatus.SKIPPED
    assert orjson.loads((await download(world, last, FileKind.JSON)).body)["number"] is None
    assert await fetch(world.scope, "SELECT 1 FROM invoices WHERE pdf_key IS NOT NULL") == []
