"""What is left to bill of usage that was billed in part before its period ended. Pure.

A line's charge is worked out for all of the period, so that tiers are not begun anew, and what
was billed of it comes off. Both are rounded, so the parts sum to what one invoice would have
asked for, to the minor unit. Events that came late for the first part are in the last one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from app.catalog.prices import Step
from app.catalog.prices.explanation import step
from app.invoicing import explanation
from app.invoicing.invoice import InvoiceLine, LineKind
from app.invoicing.rating import RatedLine
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import EXACT

# Which of a line item's lines it is: its group, and its row of a matrix.
Key = tuple[tuple[tuple[str, str | None], ...], str | None]


def remaining(
    lines: Iterable[RatedLine], earlier: Sequence[InvoiceLine], period: Period
) -> Iterator[RatedLine]:
    """The lines of one line item for `period`, less what `earlier` lines of it billed.

    A line that is gone, because its events are, is given back.
    """
    if not earlier:
        yield from lines
        return
    since = max(line.service.end for line in earlier)
    service = Period(min(since, period.end), period.end)
    billed: defaultdict[Key, list[InvoiceLine]] = defaultdict(list)
    for before in earlier:
        billed[line_key(before.group, explanation.from_json(before.explanation))].append(before)
    for line in lines:
        found = billed.pop(line_key(line.group, line.explanation), [])
        yield replace(_less(line, found) if found else line, service=service)
    for gone in billed.values():
        yield replace(_less(nothing_of(gone[-1], period), gone), service=service)


def _less(line: RatedLine, billed: Sequence[InvoiceLine]) -> RatedLine:
    before = sum((each.amount for each in billed), start=Decimal(0))
    amount = EXACT.subtract(line.amount, before)
    charge, *counted = line.explanation.parts
    decimals = minor_units(line.currency)
    invoices = ", ".join(sorted({each.invoice_id for each in billed}))
    inputs: dict[str, Decimal | str | None] = {
        "decimals": str(decimals),
        "billed": before,
        "invoices": invoices,
    }
    left = step("remaining", inputs, amount, (charge,))
    return replace(
        line,
        quantity=EXACT.subtract(
            line.quantity, sum((each.quantity for each in billed), start=Decimal(0))
        ),
        amount=amount,
        explanation=explanation.line(left, *counted, decimals=decimals),
    )


def nothing_of(line: InvoiceLine, period: Period) -> RatedLine:
    """The same line where nothing was counted in the period."""
    none = Decimal(0)
    before = next(counted_in(explanation.from_json(line.explanation).parts[1:]))
    bounds = {"start": period.start.isoformat(), "end": period.end.isoformat()}
    inputs = {**before.inputs, **bounds, "events": "0", "quantity": none}
    counted = step("counted", inputs, none)
    return RatedLine(
        kind=LineKind.USAGE,
        item_id=line.subscription_line_item_id or "",
        price_id=line.price_id or "",
        meter_id=line.meter_id,
        description=line.description,
        group=line.group,
        quantity=none,
        amount=none,
        currency=line.currency,
        service=line.service,
        price=line.price,
        explanation=explanation.line(counted, counted, decimals=minor_units(line.currency)),
    )


def line_key(group: Mapping[str, str | None], tree: Step) -> Key:
    _, *counted = tree.parts
    rows = (each.inputs.get("row") for each in counted_in(counted))
    return tuple(sorted(group.items())), next((row for row in rows if row is not None), None)


def counted_in(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps that counted, of these and of what is below them."""
    for each in steps:
        if each.rule == "counted":
            yield each
        yield from counted_in(each.parts)
