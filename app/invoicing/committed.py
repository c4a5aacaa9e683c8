"""What commitments make of the charges of an invoice. Pure.

A commitment to the usage of one price is a step of that line's charge, after what is included and
free. One to all usage is a line of its own: what comes on top of the lines it counts, which are
those of usage that nothing else is committed to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from app.catalog.price import Price
from app.catalog.prices import (
    Formula,
    Matrix,
    Percentage,
    QuantityModel,
    Rule,
    Step,
    converted,
)
from app.catalog.prices.charging import WindowTerms
from app.catalog.prices.explanation import number, step
from app.invoicing.invoice import InvoiceLine
from app.kernel.copies import replace
from app.kernel.period import Period
from app.kernel.quantity import EXACT, Number, exact_number, plus
from app.subscriptions import commitments
from app.subscriptions.commitments import Commitment, DayPart, Standing
from app.subscriptions.committing import Committing


@dataclass(frozen=True, slots=True)
class Toward:
    """Lines that other invoices billed, which may count towards a commitment; `ahead` are those
    that were billed before their period ended. `prior`: what they came to, where that is kept."""

    lines: Sequence[InvoiceLine] = ()
    ahead: Sequence[InvoiceLine] = ()
    prior: Number | None = None


NOTHING_TOWARD = Toward()


def of_charge(price: Price, charge: Step, committing: Committing, toward: Toward) -> Step:
    """The trace of a charge, in the price's currency, with what is committed to on top."""
    worth = _worth(price, committing.commitment)
    standing = Standing(_prior(committing, toward), settles=committing.settles)
    return commitments.trace(charge, committing.commitment, worth, standing)


def of_windows(price: Price, model: QuantityModel, committing: Committing) -> list[WindowTerms]:
    """The terms of single windows, each of which has the commitment for itself: of those in each
    part of the day, and last of all others."""
    rest = _of_window(price, model, committing.commitment, committing)
    parts = (
        replace(_of_window(price, part.model or model, part.commitment, committing), name=part.name)
        for part in committing.day_parts
    )
    return [*parts, rest]


def _of_window(
    price: Price, model: QuantityModel, commitment: Commitment, committing: Committing
) -> WindowTerms:
    worth = _worth(replace(price, model=model), commitment)
    standing = Standing(settles=committing.settles)
    return WindowTerms(model, lambda charge: commitments.trace(charge, commitment, worth, standing))


def windows_sold(committing: Committing | None) -> dict[str, Any]:
    """What a line keeps of a commitment that windows have: nothing else says what held for those
    that had no usage yet."""
    if committing is None or not committing.windowed:
        return {}
    terms = _Windowed(
        _settled(committing.commitment, committing),
        tuple(
            replace(part, commitment=_settled(part.commitment, committing))
            for part in committing.day_parts
        ),
    )
    return {"commitment": msgspec.to_builtins(terms)}


def _settled(commitment: Commitment, committing: Committing) -> Commitment:
    return replace(commitment, true_up=commitment.true_up and committing.settles)


@dataclass(frozen=True, slots=True)
class _Windowed:
    commitment: Commitment
    day_parts: tuple[DayPart, ...]


def on_top(
    committing: Committing, amounts: Sequence[tuple[int, Decimal]], period: Period, toward: Toward
) -> Step:
    """The trace of what a commitment to all usage adds to lines, given by place and amount."""
    base = _sum(amount for _, amount in amounts)
    places = ", ".join(str(place) for place, _ in amounts)
    billed = step("usage_lines", {"lines": places, "amount": base}, base)
    standing = Standing(_billed_before(committing, period, toward), settles=committing.settles)
    worth = committing.commitment.amount or Decimal(0)
    found = commitments.trace(billed, committing.commitment, worth, standing)
    above = exact_number(found.result)
    return step("beyond_usage", {"billed": base}, Fraction(above) - Fraction(base), (found,))


def is_true_up(addition: Step) -> bool:
    """Whether what is added makes up for usage that is missing, and is no overage."""
    (found,) = addition.parts
    return Fraction(found.inputs["trued_up"] or 0) > 0


def own(tree: Step) -> Step | None:
    """The step of a line's own commitment; None where there is none, or only one per window."""
    if tree.rule == "commitment":
        return tree
    if tree.rule in ("bucketed", "usage_lines"):
        return None
    return next((found for part in tree.parts[:1] if (found := own(part))), None)


def committed_to(tree: Step) -> bool:
    """Whether a line has a commitment of its own, for its charge or for its windows."""
    return tree.rule == "commitment" or any(committed_to(part) for part in tree.parts)


def kept(line: InvoiceLine, since: datetime) -> tuple[Committing, Toward] | None:
    """What held for the usage of a line, and counted towards it, by what the line has kept."""
    if (stored := line.price.get("commitment")) is not None:
        terms = msgspec.convert(stored, _Windowed)
        return _committing(terms.commitment, terms.day_parts, since, windowed=True), NOTHING_TOWARD
    found = _first(_tree(line))
    if found is None:
        return None
    inputs = found.inputs
    quantity = inputs["commitment_quantity"]
    commitment = Commitment(
        amount=Decimal(inputs["commitment"] or 0) if quantity is None else None,
        quantity=None if quantity is None else Decimal(quantity),
        overage_factor=Decimal(inputs["overage_factor"] or 1),
        true_up=inputs["true_up"] == "due",
    )
    committing = _committing(commitment, (), since, windowed=False)
    return committing, Toward(prior=exact_number(inputs["prior"] or "0"))


def _committing(
    commitment: Commitment, parts: tuple[DayPart, ...], since: datetime, *, windowed: bool
) -> Committing:
    return Committing(
        commitment,
        windowed,
        cumulative=False,
        since=since,
        settles=True,
        hash="",
        day_parts=parts,
    )


def _first(tree: Step) -> Step | None:
    if tree.rule == "commitment":
        return tree
    return next((found for part in tree.parts if (found := _first(part))), None)


def _prior(committing: Committing, toward: Toward) -> Number:
    """The base charges of the same line's earlier periods that count."""
    if toward.prior is not None:
        return toward.prior
    if not committing.cumulative:
        return Decimal(0)
    total: Number = Decimal(0)
    for line in toward.lines:
        if line.service.start >= committing.since:
            tree = _tree(line)
            found = own(tree)
            base = line.amount if found is None else exact_number(found.parts[0].result)
            total = plus(total, base)
    return total


def _billed_before(committing: Committing, period: Period, toward: Toward) -> Decimal:
    """The amounts of usage lines of other invoices that count."""
    lines = [*(toward.lines if committing.cumulative else ()), *toward.ahead]
    return _sum(
        line.amount
        for line in lines
        if committing.since <= line.service.start < period.end and not committed_to(_tree(line))
    )


def _worth(price: Price, commitment: Commitment) -> Number:
    """In the price's currency: a quantity is worth what the price asks for it."""
    model = price.model
    if commitment.quantity is None or isinstance(model, Percentage | Matrix | Formula):
        return commitment.amount or Decimal(0)
    asked = model.trace(commitment.quantity)
    return exact_number(converted(asked, price.conversion).result)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def _tree(line: InvoiceLine) -> Step:
    return msgspec.convert(line.explanation, Step)


RULES = {
    "usage_lines": Rule("what the usage lines came to", lambda i, _: number(i, "amount")),
    "beyond_usage": Rule(
        "what usage comes to with the commitment − what its lines billed",
        lambda i, parts: parts[0] - number(i, "billed"),
    ),
}
