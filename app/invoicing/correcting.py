"""What is corrected of billed usage, and on which lines that is billed. Pure.

A charge is rated anew for its whole period, by the price as it was, so tiers, minima and maxima
are right; what was billed of it and corrected before comes off. So for any order in which events
arrive and are corrected, and for any instants at which periods are closed and looked at again,
what was billed and all corrections come to the rating of all events.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.catalog.prices import Step, content_hash
from app.catalog.prices.explanation import step
from app.invoicing import explanation
from app.invoicing.charges import Charge, billed, dated, key_of
from app.invoicing.correction import (
    Correction,
    CorrectionApplied,
    CorrectionPolicy,
    CorrectionStatus,
)
from app.invoicing.invoice import Invoice, InvoiceLine, LineKind
from app.invoicing.rating import RatedLine
from app.invoicing.remaining import Key, counted_in, nothing_of
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.ids import new_id
from app.kernel.period import Period
from app.kernel.quantity import EXACT

_NOTHING = Decimal(0)


def corrections(
    charge: Charge,
    invoice: Invoice,
    rated: Iterable[RatedLine],
    earlier: Iterable[Correction],
    *,
    as_of: datetime,
    policy: CorrectionPolicy,
    at: datetime,
) -> list[Correction]:
    """What the charge's lines differ by; `rated` is all of its period as of the watermark, and
    `earlier` is what was corrected of it before. Only what changes an amount is corrected."""
    lines = {hash_of(key_of(line)): line for line in charge.lines}
    now = {hash_of(key_of(line)): line for line in rated}
    booked: dict[str, list[Correction]] = {}
    for each in earlier:
        booked.setdefault(each.line_key, []).append(each)
    found = []
    for key in dict.fromkeys([*lines, *now, *booked]):
        line, mine = lines.get(key), booked.get(key, [])
        fresh = now.get(key) or _gone(line or mine[-1], charge.service.period)
        before = [(_NOTHING, _NOTHING) if line is None else billed(line)]
        before += [(each.amount, each.quantity) for each in mine]
        so_far = _sum(one for one, _ in before), _sum(other for _, other in before)
        one = _correction(charge, invoice, line, dated(fresh, as_of), before=so_far)
        if one.amount:
            status = CorrectionStatus.REVIEW if policy is CorrectionPolicy.REVIEW else one.status
            found.append(
                replace(
                    one, line_key=key, as_of=as_of, policy=policy, status=status,
                    created_at=at, updated_at=at,
                )
            )  # fmt: skip
    return found


def _gone(last: InvoiceLine | Correction, period: Period) -> RatedLine:
    """A line whose events are gone, by what was billed or corrected of it last."""
    if isinstance(last, InvoiceLine):
        return nothing_of(last, period)
    leaf = next(counted_in(explanation.from_json(last.explanation).parts[1:]))
    counted = step("counted", {**leaf.inputs, "events": "0", "quantity": _NOTHING}, _NOTHING)
    return RatedLine(
        kind=LineKind.USAGE,
        item_id=last.line_item_id,
        price_id=last.price_id,
        meter_id=last.meter_id,
        description=last.description,
        group=last.group,
        quantity=_NOTHING,
        amount=_NOTHING,
        currency=last.currency,
        service=period,
        price=last.price,
        explanation=explanation.line(counted, counted, decimals=minor_units(last.currency)),
    )


def hash_of(key: Key) -> str:
    """A key of a charge's line as text of 64 characters."""
    group, row = key
    return content_hash([[list(pair) for pair in group], row])


def _correction(
    charge: Charge,
    invoice: Invoice,
    line: InvoiceLine | None,
    fresh: RatedLine,
    *,
    before: tuple[Decimal, Decimal],
) -> Correction:
    amount = EXACT.subtract(fresh.amount, before[0])
    epoch = invoice.created_at
    return Correction(
        id=new_id("icor"),
        customer_id=invoice.customer_id,
        subscription_id=charge.item.subscription_id,
        invoice_id=invoice.id,
        invoice_line_id=None if line is None else line.id,
        line_item_id=charge.item.id,
        line_key="",
        price_id=charge.price.id,
        meter_id=fresh.meter_id,
        description=fresh.description,
        group=fresh.group,
        currency=fresh.currency,
        service=charge.service.period,
        as_of=epoch,
        quantity=EXACT.subtract(fresh.quantity, before[1]),
        amount=amount,
        policy=CorrectionPolicy.NEXT_INVOICE,
        status=CorrectionStatus.OPEN,
        price=fresh.price,
        explanation=explanation.to_json(_tree(fresh, before[0], amount)),
        reason=None,
        decided_at=None,
        created_at=epoch,
        updated_at=epoch,
        remaining=amount,
    )


def _tree(fresh: RatedLine, before: Decimal, amount: Decimal) -> Step:
    charge, *counted = fresh.explanation.parts
    decimals = minor_units(fresh.currency)
    inputs: dict[str, Decimal | str | None] = {
        "decimals": str(decimals),
        "billed": before,
        "elsewhere": _NOTHING,
    }
    difference = step("corrected", inputs, amount, (charge,))
    return explanation.line(difference, *counted, decimals=decimals)


def attached(
    invoice: Invoice, lines: Sequence[InvoiceLine], pending: Sequence[Correction]
) -> tuple[list[InvoiceLine], list[CorrectionApplied]]:
    """The lines with those of pending corrections, and how much of each these bill.

    All that is asked for comes on the invoice; what is given back only as far as the lines come
    to something, for an invoice asks for nothing below zero. The rest stays pending.
    """
    kept = [line for line in lines if line.kind is not LineKind.ADJUSTMENT]
    room = _sum([line.amount for line in kept])
    added: list[tuple[Correction, Decimal]] = []
    for each in sorted(pending, key=lambda one: (one.remaining < 0, one.id)):
        part = each.remaining
        if part < 0:
            part = max(part, -max(room, _NOTHING))
        if part:
            room = EXACT.add(room, part)
            added.append((each, part))
    by_hand = [line for line in kept if line.kind is LineKind.MANUAL]
    computed = [line for line in kept if line.kind is not LineKind.MANUAL]
    together = [*computed, *(_line(invoice, *each) for each in added), *by_hand]
    numbered = [replace(line, position=n) for n, line in enumerate(together, start=1)]
    return numbered, [_applied(invoice, *each) for each in added]


def _line(invoice: Invoice, correction: Correction, part: Decimal) -> InvoiceLine:
    whole = part == correction.amount
    return InvoiceLine(
        id=new_id("invl"),
        invoice_id=invoice.id,
        position=0,
        kind=LineKind.ADJUSTMENT,
        subscription_id=correction.subscription_id,
        subscription_line_item_id=correction.line_item_id,
        price_id=correction.price_id,
        meter_id=correction.meter_id,
        description=f"{correction.description} (correction)"[:500],
        group=correction.group,
        quantity=correction.quantity if whole else _NOTHING,
        amount=part,
        currency=correction.currency,
        service=correction.service,
        price=correction.price,
        explanation=_of_part(correction, part),
        correction_id=correction.id,
    )


def _of_part(correction: Correction, part: Decimal) -> Mapping[str, Any]:
    """The correction's tree where a part of it is billed on its own."""
    tree = explanation.from_json(correction.explanation)
    difference, *counted = tree.parts
    elsewhere = EXACT.subtract(correction.amount, part)
    inputs = {**difference.inputs, "elsewhere": elsewhere}
    split = step(difference.rule, inputs, part, difference.parts)
    decimals = minor_units(correction.currency)
    return explanation.to_json(explanation.line(split, *counted, decimals=decimals))


def _applied(invoice: Invoice, correction: Correction, part: Decimal) -> CorrectionApplied:
    return CorrectionApplied(
        new_id("icap"), correction.id, invoice.id, None, part, correction.currency
    )


def less(pending: Sequence[Correction], applied: Iterable[CorrectionApplied]) -> list[Correction]:
    """What is left of pending corrections."""
    taken = {each.correction_id: each.amount for each in applied}
    left = (
        replace(each, remaining=EXACT.subtract(each.remaining, taken.get(each.id, _NOTHING)))
        for each in pending
    )
    return [each for each in left if each.remaining]


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = _NOTHING
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
