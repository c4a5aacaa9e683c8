"""What is asked about usage, and what a figure of it says. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.kernel.period import Period
from app.metering.walk import Tally


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked about: a customer's events from `period.start` until before `period.end`.

    Events of the gaps do not count. They are left out before anything is aggregated, so that a
    value which occurs on both sides of a gap is one unique value.
    """

    external_customer_id: str
    period: Period
    gaps: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """One figure. `event_count` events counted; the last of them was accepted at `watermark`.

    `group` has the values of the dimensions asked for, None where an event had none. `window`
    is the part of the span that the figure is of; None: all of it. `row` is the position of the
    row of matches that the events belong to; None where there is none. `tally` answers a walk.
    """

    quantity: Decimal
    event_count: int
    watermark: datetime | None
    group: tuple[str | None, ...] = ()
    window: Period | None = None
    row: int | None = None
    tally: Tally | None = None


NOTHING = Usage(Decimal(0), 0, None)
