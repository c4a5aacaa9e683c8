"""What an invoice has billed, as the facts that led to it: from stored lines back to what was sold.
Pure.

A charge is a line item over one service period; it has a line per group, or per row of a matrix.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.catalog import prices
from app.catalog.price import Billing, ChargeKind, InvoiceTiming, Price, PriceStatus
from app.catalog.prices import Conversion, Step
from app.invoicing import explanation
from app.invoicing.committed import Toward, kept
from app.invoicing.invoice import InvoiceLine, LineKind
from app.invoicing.rating import RatedLine
from app.invoicing.remaining import Key, counted_in, line_key
from app.invoicing.selecting import gaps_of, period_of
from app.kernel.copies import replace
from app.kernel.period import Cadence, Period
from app.kernel.quantity import EXACT
from app.subscriptions.committing import Committing
from app.subscriptions.periods import Service
from app.subscriptions.subscription import LineItem

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """A line item as billed for a service period: `lines` are those of one invoice, and `before`
    the invoices that billed a part of the period before it ended. `committed`: the commitment
    that held for its usage, and what counted towards it."""

    item: LineItem
    price: Price
    service: Service
    lines: tuple[InvoiceLine, ...]
    before: frozenset[str] = frozenset()
    committed: tuple[Committing, Toward] | None = None

    @property
    def identity(self) -> tuple[str, Period]:
        return self.item.id, self.service.period


def charges_of(lines: Iterable[InvoiceLine]) -> list[Charge]:
    """The charges of one invoice, in the order of their first lines; what no price asks for is
    none. Raises: Unexplained."""
    found: defaultdict[tuple[str, Period], list[InvoiceLine]] = defaultdict(list)
    services: dict[tuple[str, Period], Service] = {}
    for line in lines:
        if line.kind not in (LineKind.FIXED, LineKind.USAGE):
            continue
        service = _service(line)
        key = line.subscription_line_item_id or "", service.period
        services.setdefault(key, service)
        found[key].append(line)
    return [_charge(services[key], mine) for key, mine in found.items()]


def key_of(line: InvoiceLine | RatedLine) -> Key:
    """Which of its charge's lines it is."""
    tree = line.explanation
    return line_key(line.group, tree if isinstance(tree, Step) else explanation.from_json(tree))


def billed(line: InvoiceLine) -> tuple[Decimal, Decimal]:
    """How much a usage line and those before it have billed of the whole period, and for how
    much usage."""
    tree = explanation.from_json(line.explanation)
    first, *counted = tree.parts
    before = first.inputs["billed"] if first.rule == "remaining" else None
    amount = line.amount if before is None else EXACT.add(line.amount, Decimal(before))
    leaf = next(counted_in(counted), None)
    quantity = line.quantity if leaf is None else Decimal(leaf.inputs["quantity"] or 0)
    return amount, max(quantity, Decimal(0))


def price_of(snapshot: Mapping[str, Any]) -> Price:
    """The price of a line's snapshot: what it says of it, and nothing of what it does not."""
    cadence, conversion = snapshot["cadence"], snapshot["conversion"]
    never = datetime.min.replace(tzinfo=UTC)
    return Price(
        id=snapshot["id"],
        plan_id=snapshot["plan_id"],
        plan_version_id=None,
        addon_id=None,
        offered=False,
        lineage_id=snapshot["lineage_id"],
        feature_id=snapshot["feature_id"],
        meter_id=snapshot["meter_id"],
        lookup_key=None,
        display_name=snapshot["display_name"],
        group_id=None,
        charge=ChargeKind(snapshot["charge"]),
        billing=Billing(snapshot["billing"]),
        model=prices.from_json(msgspec.json.encode(snapshot["model"])),
        adjustments=prices.adjustments_from_json(msgspec.json.encode(snapshot["adjustments"])),
        currency=snapshot["currency"],
        conversion=None
        if conversion is None
        else Conversion("", conversion["unit"], Decimal(conversion["rate"])),
        cadence=Cadence(cadence["unit"], cadence["count"]),
        timing=InvoiceTiming(snapshot["timing"]),
        group_by=tuple(snapshot["group_by"]),
        trial_days=snapshot["trial_days"],
        metadata={},
        content_hash=snapshot["content_hash"],
        replaces_id=None,
        effective_from=never,
        effective_until=None,
        status=PriceStatus.ACTIVE,
        created_at=never,
        updated_at=never,
        overrides_id=snapshot.get("overrides_id"),
    )


def _charge(service: Service, lines: Sequence[InvoiceLine]) -> Charge:
    first = lines[0]
    price = price_of(first.price)
    tree = explanation.from_json(first.explanation)
    held = next(_steps(tree, "held"), None)
    item = LineItem(
        id=first.subscription_line_item_id or "",
        subscription_id=first.subscription_id or "",
        price_id=price.id,
        price_hash=price.content_hash,
        quantity=None if held is None else Decimal(held.inputs["quantity"] or 0),
        starts_at=service.period.start,
        ends_at=None,
        created_at=service.period.start,
        updated_at=service.period.start,
    )
    committed = kept(first, service.period.start) if first.kind is LineKind.USAGE else None
    return Charge(item, price, service, tuple(lines), frozenset(_before(lines)), committed)


def _before(lines: Sequence[InvoiceLine]) -> Iterator[str]:
    for line in lines:
        for step in _steps(explanation.from_json(line.explanation), "remaining"):
            yield from (step.inputs["invoices"] or "").split(", ")


def _service(line: InvoiceLine) -> Service:
    """Of usage, the period that was counted; of a fixed charge, so much of the full period."""
    tree = explanation.from_json(line.explanation)
    if line.kind is LineKind.USAGE:
        leaf = next(counted_in(tree.parts[1:]))
        period = period_of(leaf.inputs)
        return Service(period, period, gaps_of(leaf.inputs))
    days = next(_steps(tree, "proration_days"), None)
    if days is not None:
        return _in_days(line.service, days)
    share = next(_steps(tree, "proration"), None)
    if share is None:
        return Service(line.service, line.service)
    served, full = (_length(share, name) for name in ("served_seconds", "full_seconds"))
    start, gap = line.service.start, line.service.length - served
    paused = (Period(start, start + gap),) if gap > timedelta(0) else ()
    return Service(line.service, Period(start, start + full), paused)


def _in_days(period: Period, share: Step) -> Service:
    """A service of as many local days of as many: which they are makes no difference."""
    zone = ZoneInfo(share.inputs["timezone"] or "UTC")
    first = period.start.astimezone(zone).date()
    served, full = (
        _midnight(first + timedelta(days=int(share.inputs[name] or 0)), zone)
        for name in ("served_days", "full_days")
    )
    paused = (Period(served, period.end),) if served < period.end else ()
    return Service(period, Period(period.start, full), paused)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _length(share: Step, name: str) -> timedelta:
    return timedelta(microseconds=int(Fraction(share.inputs[name] or 0) * _SECOND))


def _steps(tree: Step, rule: str) -> Iterator[Step]:
    if tree.rule == rule:
        yield tree
    for part in tree.parts:
        yield from _steps(part, rule)


def dated(line: RatedLine, as_of: datetime) -> RatedLine:
    """The line, whose counted steps say as of which watermark."""
    return replace(line, explanation=_dated(line.explanation, as_of.isoformat()))


def _dated(tree: Step, as_of: str) -> Step:
    inputs = {**tree.inputs, "as_of": as_of} if tree.rule == "counted" else tree.inputs
    parts = tuple(_dated(part, as_of) for part in tree.parts)
    return Step(tree.rule, inputs, tree.result, parts)
