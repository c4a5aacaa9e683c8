"""Usage that somebody imagines, in the place of what meters counted for a bill. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.catalog.price import Price
from app.catalog.prices import Figures
from app.invoicing.bills import Bill, Billed, Entry
from app.invoicing.figures import by_time_of_day
from app.invoicing.included import SpanFigure
from app.invoicing.quoting import FIRST_WINDOW, Usage, figures_of
from app.invoicing.rating import NOTHING, Counted
from app.kernel.checks import located
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.period import Period
from app.kernel.quantity import EXACT

# By the id of the price that charges for it.
Imagined = Mapping[str, Usage]


def imagine(
    bill: Bill, counted: Mapping[Billed, Counted], imagined: Imagined
) -> dict[Billed, Counted]:
    """What would be counted if the usage of some prices were as imagined; the rest stays.

    Raises: Invalid, as `quote` does for a usage that its price is not priced from, and
    PRICE_NOT_BILLED for a price whose usage the bill does not ask for.
    """
    found = dict(counted)
    for place, (price_id, usage) in enumerate(imagined.items()):
        entries = [entry for entry in bill.usage if entry.price.id == price_id]
        if not entries:
            raise Invalid(
                f"usage[{place}].priceId: {price_id} is no usage price of what would be billed",
                field=f"usage[{place}].priceId",
                code="PRICE_NOT_BILLED",
            )
        with located(f"usage[{place}]"):
            for entry in entries:
                real = found.get(entry.identity, NOTHING)
                found[entry.identity] = _instead(entry, real, usage)
    return found


def _instead(entry: Entry, real: Counted, usage: Usage) -> Counted:
    price = entry.price
    figures = _timed(entry, figures_of(price.model, price.adjustments, usage))
    one = replace(figures, group=(None,) * len(price.group_by))
    together = figures if _priced_together(price) else None
    return replace(
        real,
        groups=(one,),
        whole=together,
        shares=None,
        spans=_spans(entry, real, SpanFigure(figures.quantity, figures.events)),
    )


def _timed(entry: Entry, figures: Figures) -> Figures:
    """What is imagined of hours begins at midnight."""
    if entry.committing is None or not entry.committing.day_parts:
        return figures
    hours = range(len(figures.windows) + figures.empty_windows)
    starts = [FIRST_WINDOW + hour * timedelta(hours=1) for hour in hours]
    return by_time_of_day(figures, entry.committing.day_parts, zone=ZoneInfo("UTC"), starts=starts)


def _priced_together(price: Price) -> bool:
    return bool(price.group_by) and price.adjustments.tiers_per == "total"


def _spans(entry: Entry, real: Counted, imagined: SpanFigure) -> dict[Period, SpanFigure]:
    """What allowances have to know: what was used before the service period, and all that is
    imagined as used when it begins."""
    period, nothing = entry.service.period, SpanFigure(Decimal(0))
    whole = real.spans.get(period, nothing)
    found = {}
    for asked in entry.included.asked(period):
        figure = real.spans.get(asked, nothing)
        if asked.end <= period.start:
            found[asked] = figure
        elif asked.start <= period.start:
            before = EXACT.subtract(figure.quantity, whole.quantity)
            quantity = EXACT.add(max(before, Decimal(0)), imagined.quantity)
            found[asked] = replace(figure, quantity=quantity, events=imagined.events)
        else:
            found[asked] = replace(figure, quantity=Decimal(0), events=0)
    return found
