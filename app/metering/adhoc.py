"""Questions about usage that no meter was made for: counted from the events themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.metering import checks
from app.metering.aggregations import KINDS
from app.metering.filters import Filters, Match
from app.metering.meter import Meter, MeterStatus


def adhoc_meter(
    event_name: str, aggregation: str, property_name: str | None, *, at: datetime
) -> Meter:
    """A meter that is stored nowhere. `property_name` is not looked at where none is used.

    Raises: Invalid (INVALID_AGGREGATION, REQUIRED, INVALID_PROPERTY).
    """
    kind = aggregation.lower()
    if kind not in KINDS:
        known = ", ".join(name.upper() for name in KINDS)
        raise Invalid(
            f"{aggregation} is not an aggregation; those are {known}",
            field="aggregation_type",
            code="INVALID_AGGREGATION",
        )
    named = checks.aggregation_named(kind, None if kind == "count" else property_name)
    return Meter(
        id="",
        name="",
        description=None,
        event_name=event_name,
        aggregation=checks.aggregation(named),
        filters=Filters(),
        dimensions=(),
        metadata={},
        status=MeterStatus.ACTIVE,
        version=1,
        backfilled_at=None,
        created_at=at,
        updated_at=at,
        archived_at=None,
    )


def filtered(meter: Meter, filters: Mapping[str, Sequence[str]]) -> Meter:
    """The meter, counting only events whose properties have one of the texts each.

    Its metered rows do not tell, so it is counted from the events. Raises: Invalid.
    """
    if not filters:
        return meter
    matches = tuple(Match(name, tuple(values)) for name, values in filters.items())
    narrowed = replace(meter.filters, include=(*meter.filters.include, *matches))
    return replace(meter, filters=checks.filters(narrowed), backfilled_at=None)
