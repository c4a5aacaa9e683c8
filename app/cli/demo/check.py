"""Compares what the product billed and stored with the recomputation, to the last decimal."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.cli.demo.recompute import ExpectedInvoice
from app.cli.demo.scenario import Scenario, Usage


@dataclass(frozen=True, slots=True)
class BilledLine:
    price: str
    group: str | None
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BilledInvoice:
    id: str
    number: str
    customer: str
    month: str
    total: Decimal
    lines: tuple[BilledLine, ...]


def month_of(start: str, zone: ZoneInfo) -> str:
    """The local month that a period beginning at an ISO 8601 instant bills."""
    return f"{datetime.fromisoformat(start).astimezone(zone):%Y-%m}"


def differences(
    billed: Iterable[BilledInvoice], expected: dict[tuple[str, str], ExpectedInvoice]
) -> list[str]:
    """Every way in which the invoices are not what they should be; empty when all are equal."""
    found = []
    seen: set[tuple[str, str]] = set()
    for invoice in billed:
        where = (invoice.customer, invoice.month)
        if where in seen:
            found.append(f"{' '.join(where)}: billed twice")
        seen.add(where)
        if where not in expected:
            found.append(f"{' '.join(where)}: billed, though nothing was due")
            continue
        found += _line_differences(invoice, expected[where])
    found += [f"{' '.join(where)}: not billed" for where in sorted(expected.keys() - seen)]
    return found


def _line_differences(invoice: BilledInvoice, due: ExpectedInvoice) -> list[str]:
    want = {(line.price, line.group): (line.quantity, _money(line.cents)) for line in due.lines}
    got = {(line.price, line.group): (line.quantity, line.amount) for line in invoice.lines}
    found = []
    if len(got) != len(invoice.lines):
        found.append("a line stands twice")
    nothing = (Decimal(0), Decimal(0))
    for key in sorted(want.keys() | got.keys(), key=str):
        # A line that comes to nothing may be left out.
        if want.get(key, nothing) != got.get(key, nothing):
            found.append(f"{key}: billed {got.get(key)}, due {want.get(key)}")
    if invoice.total != _money(due.cents):
        found.append(f"total {invoice.total}, due {_money(due.cents)}")
    return [f"{invoice.customer} {invoice.month}: {what}" for what in found]


def usage_differences(
    scenario: Scenario, stored: dict[tuple[str, str], Decimal], usage: Usage
) -> list[str]:
    """Compares the usage counted now over all months with the file's.

    `stored` maps (customer, meter) to the whole range's quantity. What is distinct does not add
    up over months, so such meters are left to the invoices.
    """
    found = []
    for meter in scenario.meters:
        if meter.aggregation == "COUNT_UNIQUE":
            continue
        for customer in scenario.customers:
            key = (customer.external_id, meter.key)
            want = sum(
                (usage.get((customer.external_id, m, meter.key, None), 0) for m in scenario.months),
                Decimal(0),
            )
            if stored.get(key, Decimal(0)) != want:
                found.append(f"{key[0]}: {meter.name} counted {stored.get(key)}, sent {want}")
    return found


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
