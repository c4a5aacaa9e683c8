"""What is asked about usage, and what a figure of it says. Pure."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from app.kernel.period import Period
from app.metering.walk import Tally


class Span(Struct, frozen=True):
    """What is asked about: a customer's events from `period.start` until before `period.end`.

    Events of the gaps do not count. They are left out before anything is aggregated, so that a
    value which occurs on both sides of a gap is one unique value. Those of `others`, each in a
    time of its own within the period, are aggregated together with the customer's.
    """

    external_customer_id: str
    period: Period
    gaps: tuple[Period, ...] = ()
    others: tuple[tuple[str, Period], ...] = ()

    @property
    def parts(self) -> Iterator[tuple[str, Period]]:
        """Whose events count, and when."""
        for part in self.period.without(self.gaps):
            yield self.external_customer_id, part
        for customer, held in self.others:
            inside = held.intersection(self.period)
            for part in () if inside is None else inside.without(self.gaps):
                yield customer, part

    @property
    def is_empty(self) -> bool:
        return next(self.parts, None) is None


class Usage(Struct, frozen=True):
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
