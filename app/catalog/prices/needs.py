"""What has to be known of usage before a price can be applied to it."""

from dataclasses import dataclass

from app.catalog.prices.adjustments import Adjustments, Bucket
from app.catalog.prices.formula import Formula
from app.catalog.prices.matrix import Matrix
from app.catalog.prices.models import PriceModel
from app.catalog.prices.percentage import Percentage
from app.metering.filters import Match
from app.metering.walk import Walk


@dataclass(frozen=True, slots=True)
class Needs:
    """A total for every group, and beside it what is named here.

    `bucket`: the windows of the period. `rows`: the share of each row, the first that matches;
    with `apart` it is split further by these dimensions. `walk`: the tally of single events.
    `meters`: the totals of these variables' meters, as (name, meter id); a price that is only
    tried may leave a meter open. `whole`: the total of all groups, as if there were none.
    """

    bucket: Bucket | None = None
    rows: tuple[tuple[Match, ...], ...] = ()
    apart: tuple[str, ...] = ()
    walk: Walk | None = None
    meters: tuple[tuple[str, str | None], ...] = ()
    whole: bool = False


def needs(model: PriceModel, adjustments: Adjustments, *, grouped: bool) -> Needs:
    match model:
        case Percentage():
            return Needs(walk=model.walk)
        case Matrix():
            rows = tuple(row.match for row in model.rows)
            return Needs(rows=rows, apart=model.dimensions if model.cells == "apart" else ())
        case Formula():
            return Needs(meters=tuple((v.name, v.meter_id) for v in model.variables))
        case _:
            whole = grouped and adjustments.tiers_per == "total"
            return Needs(bucket=adjustments.bucket, whole=whole)
