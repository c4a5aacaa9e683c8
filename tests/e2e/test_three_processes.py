"""api, consumer and temporal_worker as three processes: from the first event to the PDF."""

import asyncio
import io
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
from pypdf import PdfReader
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed

from app.cli.demo.book import open_catalog
from app.cli.demo.check import BilledInvoice
from app.cli.demo.client import Client, connect
from app.cli.demo.play import Outcome, play
from app.cli.demo.scenario import Scenario
from app.config import Settings
from tests.e2e.season import copies, season
from tests.e2e.services import NAMES, Services, send
from tests.modes.conftest import Tariff
from tests.processes import Mode, Processes

AIRLINE = "US"
_PRINTED = 'tariff_invoices_total{step="printed"}'
_WATCH = """subscription ($meter: ID!, $start: DateTime!, $end: DateTime!) {
  usageUpdated(meterId: $meter, externalCustomerId: "US", start: $start, end: $end) {
    quantity eventCount
  }
}"""


async def test_three_processes_bill_what_was_sent_and_end_in_order(
    topics: Settings, processes: Processes
) -> None:
    scenario = season("Hudson", months=3, count=3_000, seed=1)
    services = Services(processes)
    _, key = await asyncio.gather(services.start(), _key(processes, scenario.tenant))
    async with connect(services.url, key) as client:
        await _events_are_followed_live(client, services, scenario, key)
        outcome = await play(client, scenario, _quiet)
        assert outcome.differences == []
        assert len(outcome.invoices) == len(scenario.customers) * len(scenario.months)
        await _pdf_says_what_was_billed(client, scenario, outcome)
    await _each_tells_what_it_did(services, scenario)
    await _each_ends_in_order(services, key)


async def _key(processes: Processes, tenant: str) -> str:
    """Made on the command line, as an operator makes one: alone on the last line of stdout."""
    made = await Tariff(processes)("keys", "create", "--tenant", tenant)
    assert made.code == 0, made.stderr
    return made.stdout.splitlines()[-1]


async def _events_are_followed_live(
    client: Client, services: Services, scenario: Scenario, key: str
) -> None:
    """A socket is told the usage while events arrive; it never falls, and ends at the truth."""
    catalog = await open_catalog(client, scenario)
    events = list(scenario.events())
    truth = sum(
        (scenario.usage()[AIRLINE, month, "miles", None] for month in scenario.months), Decimal(0)
    )
    async with _socket(services, key) as socket, asyncio.timeout(45):
        variables = {
            "meter": catalog.meters["miles"],
            "start": scenario.starts_at.isoformat(),
            "end": scenario.ends_at.isoformat(),
        }
        await socket.send(_message("subscribe", id="1", query=_WATCH, variables=variables))
        assert await _told(socket) == (Decimal(0), 0)
        # The consumer may have just begun: once the first events count, all further ones do so
        # as they arrive.
        await client.send(events[:50])
        seen = [await _told(socket)]
        sending = asyncio.create_task(_sent_with_copies(client, events))
        while seen[-1][0] < truth:
            seen.append(await _told(socket))
        await sending
    assert seen[-1][0] == truth
    assert seen == sorted(seen)
    assert len(seen) > 3, "the figure came at the end, and not while events arrived"


async def _sent_with_copies(client: Client, events: list[dict[str, Any]]) -> None:
    await send(client, events, _quiet, pause=0.2)
    await send(client, copies(events, seed=2), _quiet)


async def _pdf_says_what_was_billed(client: Client, scenario: Scenario, outcome: Outcome) -> None:
    invoice = max(outcome.invoices, key=lambda each: each.total)
    body = await client.fetch(f"/v1/invoices/{invoice.id}/pdf")
    assert body.startswith(b"%PDF")
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)
    assert invoice.number in text
    assert scenario.tenant in text
    assert _name(scenario, invoice) in text
    assert f"{invoice.total:,.2f}" in text


def _name(scenario: Scenario, invoice: BilledInvoice) -> str:
    return next(each.name for each in scenario.customers if each.external_id == invoice.customer)


async def _each_tells_what_it_did(services: Services, scenario: Scenario) -> None:
    invoices = len(scenario.customers) * len(scenario.months)
    await _until_printed(services["temporal_worker"], invoices)
    api, consumer, worker = [await _metrics(services[name]) for name in NAMES]
    # The season twice, every fourth batch of the first time once more, and the false copies.
    assert api['tariff_ingest_events_total{topic="events"}'] > 2 * scenario.count
    assert consumer['tariff_events_stored_total{topic="events"}'] >= scenario.count
    assert consumer['tariff_events_duplicate_total{topic="events"}'] > scenario.count
    for step in ("drafted", "finalized", "printed"):
        assert worker[f'tariff_invoices_total{{step="{step}"}}'] == invoices
    for told in (api, consumer, worker):
        assert told["process_cpu_seconds_total"] > 0
        assert told['tariff_dependency_up{dependency="postgres"}'] == 1


async def _until_printed(worker: Mode, invoices: int) -> None:
    """The run prints last, and the API does not wait for it to show a PDF."""
    async with asyncio.timeout(20):
        while (await _metrics(worker)).get(_PRINTED, 0) < invoices:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _each_ends_in_order(services: Services, key: str) -> None:
    async with _socket(services, key) as socket:
        ends = await asyncio.gather(*(_ended(services[name]) for name in NAMES))
        closed = await _close_code(socket)
    assert [code for code, _ in ends] == [0, 0, 0]
    assert max(seconds for _, seconds in ends) < 10
    assert closed == 1012
    for name in NAMES:
        lines = [json.loads(line) for line in services[name].log.read_text().splitlines()]
        assert [line for line in lines if line["level"] in ("error", "critical")] == []


async def _ended(mode: Mode) -> tuple[int, float]:
    started = time.monotonic()
    code = await mode.terminate()
    return code, time.monotonic() - started


async def _metrics(mode: Mode) -> dict[str, float]:
    """Every sample that /metrics shows, by its name and labels."""
    async with aiohttp.ClientSession() as http, http.get(f"{mode.url}/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    samples = re.findall(r"^([a-z_:]+(?:\{.*\})?) (\S+)$", text, re.M | re.I)
    return {name: float(value) for name, value in samples}


@asynccontextmanager
async def _socket(services: Services, key: str) -> AsyncIterator[ClientConnection]:
    """A connection with the handshake behind it."""
    url = services.url.replace("http", "ws", 1) + "/graphql"
    async with open_socket(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": {"x-api-key": key}}))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        yield socket


def _message(kind: str, *, id: str, **payload: Any) -> str:
    return json.dumps({"id": id, "type": kind, "payload": payload})


async def _told(socket: ClientConnection) -> tuple[Decimal, int]:
    """The next figure: quantity and count of events."""
    while True:
        message = json.loads(await socket.recv())
        if message["type"] == "ping":
            await socket.send(json.dumps({"type": "pong"}))
            continue
        assert message["type"] == "next", message
        figure = message["payload"]["data"]["usageUpdated"]
        return Decimal(figure["quantity"]), int(figure["eventCount"])


async def _close_code(socket: ClientConnection) -> int | None:
    try:
        async with asyncio.timeout(5):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code


def _quiet(*_: object) -> None:
    pass
