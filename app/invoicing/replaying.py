"""Whether an invoice comes out again as it is stored, and where not. Pure.

The lines of prices are rated again from their snapshots and what is counted as of the same
watermark; what stands on other lines, and between the lines and the amount due, is worked out
again from the steps that are kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.catalog.price import substance_hash
from app.invoicing import explanation
from app.invoicing.charges import Charge, key_of, price_of
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import Invoice, InvoiceLine
from app.invoicing.rating import ENGINE_VERSION, RatedLine
from app.kernel.quantity import EXACT, plain
from app.kernel.zones import zone_data_version

_SHARES = ("discount", "prepaid", "tax", "tax_included")


@dataclass(frozen=True, slots=True)
class Version:
    """One of the things that an invoice follows from: as stored with it, and as it is now."""

    name: str
    stored: str
    present: str

    @property
    def same(self) -> bool:
        return self.stored == self.present


@dataclass(frozen=True, slots=True)
class Difference:
    """What is stored at a place of the invoice, and what comes out there now; None: nothing."""

    path: str
    stored: str | None
    replayed: str | None


@dataclass(frozen=True, slots=True)
class Replay:
    """`versions` that are not the same as they were are what differences may come from."""

    versions: tuple[Version, ...]
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        return not self.differences


def replayed(
    stored: Drafted, charges: Sequence[Charge], rated: Mapping[int, Sequence[RatedLine]]
) -> Replay:
    """`rated` has the lines that came out of each charge, by its place in `charges`."""
    found: list[Difference] = []
    of_prices: set[str] = set()
    for index, charge in enumerate(charges):
        of_prices |= {line.id for line in charge.lines}
        found += _of_charge(charge, rated[index])
    others = (line for line in stored.lines if line.id not in of_prices)
    found += (each for line in others for each in _of_steps(line))
    found += (each for line in stored.lines for each in _of_shares(line))
    found += _of_totals(stored)
    return Replay(_versions(stored.invoice, charges), tuple(found))


def _of_charge(charge: Charge, rated: Sequence[RatedLine]) -> Iterator[Difference]:
    fresh = {key_of(line): line for line in rated}
    for line in charge.lines:
        path = _path(line)
        again = fresh.pop(key_of(line), None)
        if again is None:
            yield Difference(path, plain(line.amount), None)
            continue
        yield from _unless_same(f"{path}.quantity", line.quantity, again.quantity)
        yield from _unless_same(f"{path}.amount", line.amount, again.amount)
        kept, now = line.explanation, explanation.to_json(again.explanation)
        yield from of_trees(f"{path}.explanation", kept, now)
        yield from of_trees(f"{path}.price", line.price, again.price)
    for new in fresh.values():
        group = "".join(f" {name}={value}" for name, value in sorted(new.group.items()))
        yield Difference(f"lines[{new.item_id}{group}]", None, plain(new.amount))


def _of_steps(line: InvoiceLine) -> Iterator[Difference]:
    yield from _evaluated(f"{_path(line)}.amount", line.amount, line.explanation)


def _of_shares(line: InvoiceLine) -> Iterator[Difference]:
    """What the steps of its shares come to: as they were added up in the line's columns."""
    for place, share in enumerate(line.shares or ()):
        result = Decimal(str(share["result"]))
        yield from _evaluated(f"{_path(line)}.shares[{place}]", result, share)


def _of_totals(stored: Drafted) -> Iterator[Difference]:
    totals, lines = stored.invoice.totals, stored.lines
    yield from _unless_same("subtotal", totals.subtotal, _sum(line.amount for line in lines))
    for name in _SHARES:
        together = _sum(getattr(line, name) for line in lines)
        yield from _unless_same(name, getattr(totals, name), together)
    if (steps := stored.invoice.reckoning.get("steps")) is not None:
        yield from _evaluated("amount_due", totals.amount_due, steps)


def _evaluated(path: str, stored: Decimal, tree: Mapping[str, Any]) -> Iterator[Difference]:
    try:
        again = explanation.evaluate(tree)
    except explanation.Unexplained as error:
        yield Difference(path, plain(stored), f"not explained: {error}")
        return
    yield from _unless_same(path, stored, again)


def of_trees(path: str, stored: Any, replayed: Any) -> Iterator[Difference]:
    """Where two pieces of JSON differ, down to the leaves."""
    if isinstance(stored, Mapping) and isinstance(replayed, Mapping):
        for name in sorted(stored.keys() | replayed.keys()):
            yield from of_trees(f"{path}.{name}", stored.get(name), replayed.get(name))
    elif isinstance(stored, list | tuple) and isinstance(replayed, list | tuple):
        for place in range(max(len(stored), len(replayed))):
            pair = (each[place] if place < len(each) else None for each in (stored, replayed))
            yield from of_trees(f"{path}[{place}]", *pair)
    elif stored != replayed:
        yield Difference(path, _text(stored), _text(replayed))


def _unless_same(path: str, stored: Decimal, replayed: Decimal) -> Iterator[Difference]:
    if stored != replayed:
        yield Difference(path, plain(stored), plain(replayed))


def _versions(invoice: Invoice, charges: Sequence[Charge]) -> tuple[Version, ...]:
    """The catalogue is kept on the lines: its version is the hash of each price, worked out."""
    sold = sorted({charge.price.content_hash for charge in charges})
    kept = sorted({_hash(charge.lines[0].price) for charge in charges})
    watermark = "" if invoice.usage_watermark is None else invoice.usage_watermark.isoformat()
    return (
        Version("engine", invoice.engine_version, ENGINE_VERSION),
        Version("catalog", " ".join(sold), " ".join(kept)),
        Version("zone_data", invoice.zone_data, zone_data_version()),
        Version("usage", watermark, watermark),
    )


def _hash(snapshot: Mapping[str, Any]) -> str:
    price = price_of(snapshot)
    return substance_hash(
        feature_id=price.feature_id,
        meter_id=price.meter_id,
        charge=price.charge,
        billing=price.billing,
        model=price.model,
        adjustments=price.adjustments,
        currency=price.currency,
        conversion=price.conversion,
        cadence=price.cadence,
        timing=price.timing,
        group_by=price.group_by,
        trial_days=price.trial_days,
    )


def _path(line: InvoiceLine) -> str:
    return f"lines[{line.position - 1}]"


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
