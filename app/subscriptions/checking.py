"""Access checks: many features of one customer in one call, answered at once.

Four statements to PostgreSQL, and one query to ClickHouse for all meters (one more for each
that is not backfilled yet). Nothing is remembered, so that a change counts with the next call.
Usage is exact: what has been counted by now, each event once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.infra.clickhouse import ClickHouse
from app.kernel.errors import Invalid
from app.kernel.scope import Scope
from app.metering import meters_usage
from app.metering.usage import Span
from app.subscriptions.access import Access, Check, Reason, answer, check, standing, without
from app.subscriptions.access_reads import Facts, Whose, facts

MAX_FEATURES = 100


@dataclass(frozen=True, slots=True)
class Checked:
    """The answers in the order of the questions, and what they are based on.

    `watermark` is when the latest of the events that were counted was accepted; None where none
    was.
    """

    answers: list[Access]
    watermark: datetime | None


async def access(
    scope: Scope, clickhouse: ClickHouse, whose: Whose, keys: Sequence[str], *, at: datetime
) -> Checked:
    """Whether the customer may use features, named by lookup key or id, at an instant.

    Raises: Invalid (too many features, or none), NotFound (the customer), Unavailable.
    """
    if not 1 <= len(keys) <= MAX_FEATURES:
        raise Invalid(
            f"features: {len(keys)} are given; ask about 1 to {MAX_FEATURES}",
            field="features",
            code="INVALID_FEATURES",
        )
    known = await facts(scope, whose, keys)
    refused = without(known.subscriptions, at)
    checks = {} if refused is not None else _checks(known, at)
    customer = known.external_customer_id
    questions = [
        (_meter(checked), Span(customer, period))
        for checked in checks.values()
        for period in checked.asked
    ]
    usage = await meters_usage.totals(scope, clickhouse, known.meters, questions)

    def answered(key: str) -> Access:
        feature, checked = known.features.get(key), checks.get(key)
        if feature is None:
            return Access(key, None, Reason.UNKNOWN_FEATURE)
        if checked is None:
            return Access(key, feature, refused or Reason.NO_SUBSCRIPTION)
        meter = _meter(checked)
        return answer(checked, lambda period: usage[meter, Span(customer, period)].quantity)

    watermarks = (each.watermark for each in usage.values() if each.watermark is not None)
    return Checked([answered(key) for key in keys], max(watermarks, default=None))


def _checks(known: Facts, at: datetime) -> dict[str, Check]:
    """What was asked about, by its key, where there is such a feature."""
    entitled = [known.entitled[s.id] for s in known.subscriptions if standing(s, at) is None]
    return {key: check(key, feature, entitled, at) for key, feature in known.features.items()}


def _meter(checked: Check) -> str:
    return checked.feature.meter_id or ""
