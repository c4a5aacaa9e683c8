"""Access checks: many features of one customer in one call, answered at once.

Four statements to PostgreSQL (two more where a family's usage counts), and one query to
ClickHouse for all meters (one more for each that is not backfilled yet). Nothing is remembered,
so that a change counts with the next call. Usage is exact: what has been counted by now, each
event once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.customers import reads as customers
from app.customers.family import others_of
from app.infra.clickhouse import ClickHouse
from app.kernel.errors import Invalid
from app.kernel.period import Period
from app.kernel.scope import Scope
from app.metering import meters_usage
from app.metering.usage import Span
from app.subscriptions.access import Access, Check, Reason, answer, check, standing, without
from app.subscriptions.access_reads import Facts, Whose, facts
from app.subscriptions.family import in_force, joined
from app.subscriptions.subscription import Subscription

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
    pools = await _pools(scope, known, at)
    held = [each for pool in pools for each in pool.subscriptions]
    refused = without(held or known.subscriptions, at)
    checks = _checks(known, pools, at) if held else {}
    questions = [
        (_meter(checked), pool.span(checked, period))
        for checked, pool in checks.values()
        for period in checked.asked
    ]
    usage = await meters_usage.totals(scope, clickhouse, known.meters, questions)

    def answered(key: str) -> Access:
        feature, found = known.features.get(key), checks.get(key)
        if feature is None:
            return Access(key, None, Reason.UNKNOWN_FEATURE)
        if found is None:
            return Access(key, feature, refused or Reason.NO_SUBSCRIPTION)
        checked, pool = found
        meter = _meter(checked)
        return answer(checked, lambda period: usage[meter, pool.span(checked, period)].quantity)

    watermarks = (each.watermark for each in usage.values() if each.watermark is not None)
    return Checked([answered(key) for key in keys], max(watermarks, default=None))


@dataclass(frozen=True, slots=True)
class _Pool:
    """Subscriptions that are in force and give together, and whose usage uses it up: the owner's,
    and where one of those that give counts its family, that of `others` too."""

    external_customer_id: str
    subscriptions: Sequence[Subscription]
    others: tuple[tuple[str, Period], ...] = ()

    def span(self, checked: Check, period: Period) -> Span:
        giving = {each.subscription_id for each in checked.sources}
        family = any(each.id in giving and each.families for each in self.subscriptions)
        return Span(self.external_customer_id, period, (), self.others if family else ())


async def _pools(scope: Scope, known: Facts, at: datetime) -> list[_Pool]:
    """The customer's own subscriptions, then what the family has: of its parent, what counts it.

    A statement more where a family's usage counts, and one more for the name of a parent.
    """
    standing_now = [each for each in known.subscriptions if standing(each, at) is None]
    mine = [each for each in standing_now if each.customer_id == known.customer_id]
    of_parent = [
        each
        for each in standing_now
        if each.customer_id != known.customer_id and in_force(each.families, at) is not None
    ]
    pools = [_Pool(known.external_customer_id, mine, await _others(scope, mine))]
    if of_parent:
        parent = await customers.get(scope, of_parent[0].customer_id)
        pools.append(_Pool(parent.external_id, of_parent, await _others(scope, of_parent)))
    return pools


async def _others(
    scope: Scope, subscriptions: Sequence[Subscription]
) -> tuple[tuple[str, Period], ...]:
    """Whose usage counts with that of the subscriptions' customer, and when."""
    parts = {each.period for one in subscriptions for each in one.families}
    if not parts:
        return ()
    parent_id = subscriptions[0].customer_id
    memberships = (await customers.memberships_of(scope, [parent_id])).get(parent_id, [])
    return others_of(memberships, joined(parts))


def _checks(known: Facts, pools: Sequence[_Pool], at: datetime) -> dict[str, tuple[Check, _Pool]]:
    """What was asked about, by its key, where there is such a feature: of the first pool that gives
    it, or says that it does not; else of the last."""
    found: dict[str, tuple[Check, _Pool]] = {}
    for pool in pools:
        entitled = [known.entitled[each.id] for each in pool.subscriptions]
        for key, feature in known.features.items():
            if key not in found or not found[key][0].sources:
                found[key] = check(key, feature, entitled, at), pool
    return found


def _meter(checked: Check) -> str:
    return checked.feature.meter_id or ""
