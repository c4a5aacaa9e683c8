"""What the terms of a coupon must fulfil, each and together."""

from collections.abc import Collection
from decimal import Decimal

from app.catalog.actions.inputs import money, percentage
from app.catalog.coupon import CouponDuration, CreateCoupon, Limits
from app.catalog.reads import features, plans, prices
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.scope import Scope

MOST_PERIODS = 1200
MOST_LIMITS = 100


def check_value(command: CreateCoupon) -> None:
    """Raises: Invalid."""
    percent, amount = command.percent_off, command.amount_off
    if (percent is None) == (amount is None):
        raise Invalid(
            "off: give either a percentage or an amount", field="off", code="INVALID_DISCOUNT"
        )
    if percent is not None:
        percentage(percent, "off.percent", most=Decimal(100))
    if amount is not None:
        if command.currency is None:
            raise Invalid(
                "off.amount.currency: an amount is in a currency; name it",
                field="off.amount.currency",
                code="CURRENCY_REQUIRED",
            )
        money(amount, command.currency, "off.amount")


def check_duration(command: CreateCoupon) -> None:
    """Raises: Invalid."""
    repeated = command.duration is CouponDuration.REPEATED
    if repeated != (command.periods is not None):
        wanted = "say on how many invoices" if repeated else "only a repeated coupon has periods"
        raise checks.invalid("periods", wanted)
    if command.periods is not None and not 1 <= command.periods <= MOST_PERIODS:
        raise checks.invalid("periods", f"{command.periods} must lie between 1 and {MOST_PERIODS}")


async def found_limits(scope: Scope, limits: Limits) -> Limits:
    """What it is limited to, all of which is there, each once. Raises: Invalid, NotFound."""
    named = Limits(
        plan_ids=_once("limits.planIds", limits.plan_ids),
        price_ids=_once("limits.priceIds", limits.price_ids),
        feature_ids=_once("limits.featureIds", limits.feature_ids),
    )
    if named.unlimited:
        return named
    priced = await prices.by_ids(scope, named.price_ids)
    _check_known(
        "limits.planIds", "plan", limits.plan_ids, await plans.by_ids(scope, named.plan_ids)
    )
    _check_known("limits.priceIds", "price", limits.price_ids, priced)
    _check_known(
        "limits.featureIds", "feature", limits.feature_ids,
        await features.by_ids(scope, named.feature_ids),
    )  # fmt: skip
    lineages = dict.fromkeys(price.lineage_id for price in priced.values())
    return replace(named, lineage_ids=tuple(sorted(lineages)))


def _once(field: str, ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(ids) > MOST_LIMITS:
        raise checks.invalid(field, f"{len(ids)} are too many; at most {MOST_LIMITS} fit")
    return tuple(dict.fromkeys(ids))


def _check_known(field: str, kind: str, ids: Collection[str], known: Collection[str]) -> None:
    for index, id_ in enumerate(ids):
        if id_ not in known:
            raise NotFound(kind, id_, field=f"{field}[{index}]")
