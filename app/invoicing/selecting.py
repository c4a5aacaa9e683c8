"""Which events a step of an explanation has counted. Pure.

A `counted` step says of which meter, when, and in which group or row of a matrix; the line's price
says what the row is, and the invoice whose events they are and as of which watermark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.catalog import prices
from app.catalog.prices import Matrix, Step
from app.kernel.period import Period
from app.metering.filters import RowOf

_GROUP = "group."


@dataclass(frozen=True, slots=True)
class Selector:
    """The events of a customer that a meter counted in a period, but for its gaps, as of a
    watermark (None: whatever is stored); of a `group`, and of a row of a matrix where `of` is
    given."""

    meter_id: str
    customer_id: str
    period: Period
    gaps: tuple[Period, ...]
    group: Mapping[str, str | None]
    of: RowOf | None
    as_of: datetime | None


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
        group={
            name.removeprefix(_GROUP): value
            for name, value in inputs.items()
            if name.startswith(_GROUP)
        },
        of=_row(inputs.get("row"), price),
        as_of=as_of if own is None else datetime.fromisoformat(own),
    )


def period_of(inputs: Mapping[str, str | None]) -> Period:
    return Period(_instant(inputs["start"]), _instant(inputs["end"]))


def gaps_of(inputs: Mapping[str, str | None]) -> tuple[Period, ...]:
    """The spans of the period whose events do not count."""
    stated = inputs.get("paused")
    if not stated:
        return ()
    parts = (gap.partition("/") for gap in stated.split(", "))
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
