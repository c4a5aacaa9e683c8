"""The demo's course: set up, send, wait, bill, fetch, compare. Speaks HTTP alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.cli.demo import recompute
from app.cli.demo.book import Catalog, open_catalog, subscribe
from app.cli.demo.check import (
    BilledInvoice,
    BilledLine,
    differences,
    month_of,
    usage_differences,
)
from app.cli.demo.client import Client, Refused, batches
from app.cli.demo.scenario import Scenario, Usage

# Told as (stage, done, of); stages follow one another.
Moved = Callable[[str, int, int], None]

_RUN = """mutation {
  billingRunStart { ... on BillingRun { workflowId } ... on Problem { code message } }
}"""
_PRINTED = """{
  invoices(filter: {status: {eq: FINALIZED}}) { totalCount }
}"""
_INVOICES = """query($after: String) {
  invoices(first: 50, after: $after, filter: {status: {eq: FINALIZED}}) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes {
      id number customerId periodStart total { amount }
      lines { description group { name value } quantity amount { amount } }
    }
  }
}"""
_USAGE = """query($meters: [ID!]!, $customers: [String!]!, $period: PeriodInput!) {
  usage(meterIds: $meters, externalCustomerIds: $customers, periods: [$period]) {
    meterId externalCustomerId quantity
  }
}"""

_SENDERS = 4
_FETCHERS = 4
_TWICE_EVERY = 20  # every so many batches one is sent again, as clients do that missed the answer
# Nothing new for this long: what is missing is not on its way. A service that was killed may be
# missed only after half a minute, by Kafka or Temporal, and the demo is to survive that.
_STANDSTILL_SECONDS = 60.0
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """`differences` is empty where everything billed and stored equals the recomputation."""

    invoices: list[BilledInvoice]
    usage: Usage
    differences: list[str]


async def play(client: Client, scenario: Scenario, moved: Moved) -> Outcome:
    """Raises: Refused, where the product does not do what it should in time."""
    catalog = await open_catalog(client, scenario)
    await _send(client, scenario, moved)
    await _wait_until_visible(client, scenario, moved)
    # Only now: their periods are long over, and would be billed at once.
    customers = await subscribe(client, scenario, catalog)
    await _bill(client, scenario, moved)
    invoices = await _fetch(client, scenario, customers, moved)
    await _download(client, invoices, moved)
    usage = await asyncio.to_thread(scenario.usage)
    found = differences(invoices, recompute.invoices(scenario, usage))
    found += usage_differences(scenario, await _recount(client, scenario, catalog), usage)
    stored = await _stored(client)
    if stored != scenario.count:
        found.append(f"{stored} events are stored, {scenario.count} were sent")
    return Outcome(invoices, usage, found)


async def _send(client: Client, scenario: Scenario, moved: Moved) -> None:
    queue: asyncio.Queue[list[dict[str, Any]] | None] = asyncio.Queue(_SENDERS * 2)
    done = 0

    async def sender() -> None:
        nonlocal done
        while (batch := await queue.get()) is not None:
            await client.send(batch)
            done += len(batch)
            moved("Sending events", min(done, scenario.count), scenario.count)
        await queue.put(None)

    async with _tasks() as group:
        for _ in range(_SENDERS):
            group.create_task(sender())
        for number, batch in enumerate(batches(scenario.events())):
            await queue.put(batch)
            if number % _TWICE_EVERY == 0:
                await queue.put(batch)
                done -= len(batch)
        await queue.put(None)


async def _wait_until_visible(client: Client, scenario: Scenario, moved: Moved) -> None:
    """Until every event is stored. One that never comes is left to the comparison to find."""
    stored, waited = 0, 0.0
    while stored < scenario.count and waited < _STANDSTILL_SECONDS:
        await asyncio.sleep(_PAUSE_SECONDS)
        before, stored = stored, await _stored(client)
        waited = waited + _PAUSE_SECONDS if stored == before else 0.0
        moved("Waiting until all are visible", min(stored, scenario.count), scenario.count)


async def _bill(client: Client, scenario: Scenario, moved: Moved) -> None:
    wanted = len(scenario.customers) * len(scenario.months)
    await client.do(_RUN)
    printed, waited = -1, 0.0
    while printed < wanted and waited < _STANDSTILL_SECONDS:
        await asyncio.sleep(_PAUSE_SECONDS)
        before, printed = printed, int((await client.query(_PRINTED))["invoices"]["totalCount"])
        waited = waited + _PAUSE_SECONDS if printed == before else 0.0
        moved("Closing months", min(printed, wanted), wanted)


async def _fetch(
    client: Client, scenario: Scenario, customers: dict[str, str], moved: Moved
) -> list[BilledInvoice]:
    zone = ZoneInfo(scenario.timezone)
    names = {customer_id: name for name, customer_id in customers.items()}
    found: list[BilledInvoice] = []
    after = None
    while True:
        page = (await client.query(_INVOICES, after=after))["invoices"]
        found += [_invoice(node, zone, names) for node in page["nodes"]]
        moved("Checking invoices", len(found), max(len(found), page["totalCount"]))
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def _download(client: Client, invoices: Sequence[BilledInvoice], moved: Moved) -> None:
    """Every invoice as a PDF. Raises: Refused."""
    left, done = iter(invoices), 0

    async def fetcher() -> None:
        nonlocal done
        for invoice in left:
            path = f"/v1/invoices/{invoice.id}/pdf"
            if not (await client.fetch(path)).startswith(b"%PDF"):
                raise Refused(f"{path} is no PDF")
            done += 1
            moved("Fetching PDFs", done, len(invoices))

    async with _tasks() as group:
        for _ in range(_FETCHERS):
            group.create_task(fetcher())


@asynccontextmanager
async def _tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks that raises what the first to fail raised."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def pdf_link(client: Client, invoice: BilledInvoice) -> str:
    """Where anybody can fetch the invoice's PDF for a while."""
    answer = await client.query("query($id: ID!) { invoice(id: $id) { pdfUrl } }", id=invoice.id)
    return str(answer["invoice"]["pdfUrl"])


def _invoice(node: dict[str, Any], zone: ZoneInfo, names: dict[str, str]) -> BilledInvoice:
    lines = tuple(
        BilledLine(
            price=line["description"],
            group=line["group"][0]["value"] if line["group"] else None,
            quantity=Decimal(line["quantity"]),
            amount=Decimal(line["amount"]["amount"]),
        )
        for line in node["lines"]
    )
    return BilledInvoice(
        id=node["id"],
        number=node["number"],
        customer=names.get(node["customerId"], node["customerId"]),
        month=month_of(node["periodStart"], zone),
        total=Decimal(node["total"]["amount"]),
        lines=lines,
    )


async def _stored(client: Client) -> int:
    return int((await client.query("{ events { totalCount } }"))["events"]["totalCount"])


async def _recount(
    client: Client, scenario: Scenario, catalog: Catalog
) -> dict[tuple[str, str], Decimal]:
    """What every customer used of every meter over all months, counted now."""
    keys = {meter_id: key for key, meter_id in catalog.meters.items()}
    answer = await client.query(
        _USAGE,
        meters=list(keys),
        customers=[customer.external_id for customer in scenario.customers],
        period={"start": scenario.starts_at.isoformat(), "end": scenario.ends_at.isoformat()},
    )
    return {
        (figure["externalCustomerId"], keys[figure["meterId"]]): Decimal(figure["quantity"])
        for figure in answer["usage"]
    }
