"""Which events a step of an explanation has counted. Pure.

A `counted` step says of which meter, when, and in which group or row of a matrix; the line's price
says what the row is, and the invoice whose events they are and as of which watermark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.catalog import prices
from app.catalog.prices import Matrix, Step
from app.customers.family import Membership, others_of
from app.kernel.period import Period
from app.metering.figure import Span
from app.metering.filters import RowOf

_GROUP = "group."


@dataclass(frozen=True, slots=True)
class Selector:
    """The events of a customer that a meter counted in a period, but for its gaps, as of a
    watermark (None: whatever is stored); of a `group`, and of a row of a matrix where `of` is
    given. Those of its family count in the parts `family`; of them all, those of `member_id`
    where it is given."""

    meter_id: str
    customer_id: str
    period: Period
    gaps: tuple[Period, ...]
    group: Mapping[str, str | None]
    of: RowOf | None
    as_of: datetime | None
    family: tuple[Period, ...] = ()
    member_id: str | None = None


def selector(
    step: Step, price: Mapping[str, Any], *, customer_id: str, as_of: datetime | None
) -> Selector | None:
    """What a step has counted; None where it counted nothing of a meter.

    `price` is the line's snapshot. A step that has a watermark of its own goes by that.
    """
    inputs = step.inputs
    meter_id = inputs.get("meter_id")
    if step.rule != "counted" or meter_id is None or "start" not in inputs:
        return None
    own = inputs.get("as_of")
    return Selector(
        meter_id=meter_id,
        customer_id=customer_id,
        period=period_of(inputs),
        gaps=gaps_of(inputs),
        family=_periods(inputs.get("family")),
        member_id=inputs.get("customer_id"),
        group={
            name.removeprefix(_GROUP): value
            for name, value in inputs.items()
            if name.startswith(_GROUP)
        },
        of=_row(inputs.get("row"), price),
        as_of=as_of if own is None else datetime.fromisoformat(own),
    )


def span_of(wanted: Selector, external_id: str, memberships: Sequence[Membership]) -> Span | None:
    """Whose events the selector means, by the names that they carry; `external_id` is the
    customer's own. None: of somebody who was never of the family."""
    if wanted.member_id in (None, wanted.customer_id):
        everyone = wanted.member_id is None
        others = others_of(memberships, wanted.family) if everyone else ()
        return Span(external_id, wanted.period, wanted.gaps, others)
    mine = [each for each in memberships if each.customer_id == wanted.member_id]
    if not mine:
        return None
    return Span(
        mine[0].external_id, wanted.period, outside(mine, wanted.period, wanted.family, wanted.gaps)
    )


def outside(
    memberships: Sequence[Membership],
    period: Period,
    family: Sequence[Period],
    gaps: Sequence[Period],
) -> tuple[Period, ...]:
    """What of the period does not count of a member: the gaps, and when it was no member."""
    held = [part for _, part in others_of(memberships, family)]
    return (*gaps, *period.without(held))


def period_of(inputs: Mapping[str, str | None]) -> Period:
    return Period(_instant(inputs["start"]), _instant(inputs["end"]))


def gaps_of(inputs: Mapping[str, str | None]) -> tuple[Period, ...]:
    """The spans of the period whose events do not count."""
    return _periods(inputs.get("paused"))


def _periods(stated: str | None) -> tuple[Period, ...]:
    if not stated:
        return ()
    parts = (each.partition("/") for each in stated.split(", "))
    return tuple(Period(_instant(start), _instant(end)) for start, _, end in parts)


def _instant(text: str | None) -> datetime:
    if text is None:
        raise ValueError("a counted step names an instant")
    return datetime.fromisoformat(text)


def _row(stated: str | None, price: Mapping[str, Any]) -> RowOf | None:
    """The row that a line of a matrix is of; None where it is of all."""
    if stated is None:
        return None
    model = prices.from_json(msgspec.json.encode(price["model"]))
    if not isinstance(model, Matrix):
        return None
    rows = tuple(row.match for row in model.rows)
    return RowOf(rows, None if stated == "default" else int(stated) - 1)
