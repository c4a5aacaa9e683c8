"""Whether a customer may use a feature now, and how much of it is left. Pure.

What several subscriptions give adds up like what one is given: any of it switches a feature on,
limits of one rhythm are summed, and those of different rhythms are used up one after another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, cast

from app.catalog.entitlement_terms import Config, Metered, Resets, Static
from app.catalog.feature import Feature, FeatureType
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.subscriptions.allowance_windows import Window
from app.subscriptions.allowances import Allowance, Left, allowances, asked, evaluate, left
from app.subscriptions.entitlements import Entitled, Given, in_force
from app.subscriptions.subscription import Subscription, SubscriptionStatus

_ZERO = Decimal(0)


class Reason(StrEnum):
    """Why a feature may be used, or may not."""

    INCLUDED = "included"
    """It is given, and if there is a limit it is not reached."""
    SOFT_LIMIT_REACHED = "soft_limit_reached"
    """No more of it is included, and it may be used all the same."""
    LIMIT_REACHED = "limit_reached"
    """No more of it is included."""
    DISABLED = "disabled"
    """An entitlement says that it is not given."""
    NOT_INCLUDED = "not_included"
    """Nothing of what the customer has gives it."""
    SUBSCRIPTION_PAUSED = "subscription_paused"
    SUBSCRIPTION_NOT_STARTED = "subscription_not_started"
    SUBSCRIPTION_CANCELED = "subscription_canceled"
    SUBSCRIPTION_ENDED = "subscription_ended"
    NO_SUBSCRIPTION = "no_subscription"
    UNKNOWN_FEATURE = "unknown_feature"


ALLOWED = frozenset({Reason.INCLUDED, Reason.SOFT_LIMIT_REACHED})
# Of several subscriptions that are not in force, the one that is nearest to it says why.
_NEAREST = (
    Reason.SUBSCRIPTION_PAUSED,
    Reason.SUBSCRIPTION_NOT_STARTED,
    Reason.SUBSCRIPTION_CANCELED,
    Reason.SUBSCRIPTION_ENDED,
)


@dataclass(frozen=True, slots=True)
class Balance:
    """What is included in one rhythm, and what of it is left in the window of the moment.

    `used` is what the allowances before it let pass. `limit` and `remaining` None: no limit.
    """

    resets: Resets
    window: Window
    limit: Decimal | None
    used: Decimal
    remaining: Decimal | None


@dataclass(frozen=True, slots=True)
class Access:
    """The answer about one feature, asked for as `key`; `feature` None: there is none.

    `limit` None while `feature` is metered and given: there is none, and `unlimited` says so.
    `used` counts what is used beyond the limit, too. `resets_at` is when some of it begins anew.
    `sources` are the entitlements that count, the most specific first; `values` are theirs.
    """

    key: str
    feature: Feature | None
    reason: Reason
    sources: tuple[Given, ...] = ()
    values: tuple[Any, ...] = ()
    balances: tuple[Balance, ...] = ()
    unlimited: bool = False
    limit: Decimal | None = None
    used: Decimal | None = None
    remaining: Decimal | None = None
    resets_at: datetime | None = None
    soft: bool = False

    @property
    def allowed(self) -> bool:
        return self.reason in ALLOWED


@dataclass(frozen=True, slots=True)
class Metering:
    """An allowance in force, with the usage that it has to know."""

    allowance: Allowance
    window: Window
    limit: Decimal | None
    used: Left


@dataclass(frozen=True, slots=True)
class Check:
    """A feature that was asked about, with what is given of it; the usage is still to come."""

    key: str
    feature: Feature
    sources: tuple[Given, ...]
    metering: tuple[Metering, ...]

    @property
    def asked(self) -> Iterator[Period]:
        """What of the feature's meter has to be counted."""
        for each in self.metering:
            yield from asked(each.used)


def standing(subscription: Subscription, at: datetime) -> Reason | None:
    """Why a subscription is not in force at an instant; None where it is.

    Told by its times, as billing may not have come to note what has become of it.
    """
    draft = subscription.status is SubscriptionStatus.DRAFT
    if draft or at < subscription.starts_at:
        return Reason.SUBSCRIPTION_NOT_STARTED
    if subscription.ends_at is not None and at >= subscription.ends_at:
        canceled = subscription.cancellation is not None
        return Reason.SUBSCRIPTION_CANCELED if canceled else Reason.SUBSCRIPTION_ENDED
    return None if subscription.paused_at(at) is None else Reason.SUBSCRIPTION_PAUSED


def without(subscriptions: Sequence[Subscription], at: datetime) -> Reason | None:
    """Why nothing is given at all; None where a subscription is in force."""
    found = {standing(each, at) for each in subscriptions}
    if None in found:
        return None
    return next((reason for reason in _NEAREST if reason in found), Reason.NO_SUBSCRIPTION)


def check(key: str, feature: Feature, entitled: Sequence[Entitled], at: datetime) -> Check:
    """What the subscriptions, which must be in force, give of a feature at an instant."""
    sources = [given for each in entitled for given in in_force(each.of(feature.id), at)]
    metering: tuple[Metering, ...] = ()
    if feature.type is FeatureType.METERED:
        metering = tuple(_metering(allowances(entitled, feature.id), at))
    return Check(key, feature, tuple(sorted(sources, key=lambda each: each.order)), metering)


def answer(checked: Check, used: Callable[[Period], Decimal]) -> Access:
    """The answer, once what was `asked` is counted."""
    given = [each for each in checked.sources if each.entitlement.enabled]
    if not given:
        reason = Reason.DISABLED if checked.sources else Reason.NOT_INCLUDED
        return Access(checked.key, checked.feature, reason, checked.sources)
    if checked.feature.type is not FeatureType.METERED:
        values = tuple(
            each.entitlement.terms.value
            for each in given
            if isinstance(each.entitlement.terms, Static | Config)
        )
        return Access(checked.key, checked.feature, Reason.INCLUDED, checked.sources, values)
    return _metered(checked, given, tuple(_balances(checked.metering, used)))


def _metered(checked: Check, given: Sequence[Given], balances: tuple[Balance, ...]) -> Access:
    unlimited = any(each.limit is None for each in balances)
    soft = any(isinstance(g.entitlement.terms, Metered) and g.entitlement.terms.soft for g in given)
    limit = _sum(each.limit or _ZERO for each in balances)
    remaining = _sum(each.remaining or _ZERO for each in balances)
    # What passed them all is used beyond the limit.
    beyond = max(_ZERO, EXACT.subtract(balances[-1].used, balances[-1].limit or _ZERO))
    reason = Reason.INCLUDED
    if not unlimited and not remaining:
        reason = Reason.SOFT_LIMIT_REACHED if soft else Reason.LIMIT_REACHED
    used = EXACT.add(EXACT.subtract(limit, remaining), beyond)
    return Access(
        checked.key,
        checked.feature,
        reason,
        checked.sources,
        balances=balances,
        unlimited=unlimited,
        limit=None if unlimited else limit,
        used=used,
        remaining=None if unlimited else remaining,
        resets_at=_next_reset(balances),
        soft=soft,
    )


def _metering(found: Sequence[Allowance], at: datetime) -> Iterator[Metering]:
    for place, allowance in enumerate(found):
        limit = allowance.at(at)
        if limit is None:
            continue
        window = allowance.window(limit, at)
        yield Metering(
            allowance, window, limit.limit, left(found[:place], Period(window.start, at))
        )
        if limit.limit is None:
            return  # nothing passes it


def _balances(metering: Sequence[Metering], used: Callable[[Period], Decimal]) -> Iterator[Balance]:
    for each in metering:
        # Decimals, added and subtracted, are a decimal.
        quantity = cast("Decimal", evaluate(each.used, used))
        limit = each.limit
        remaining = None if limit is None else max(_ZERO, EXACT.subtract(limit, quantity))
        yield Balance(each.allowance.rhythm.resets, each.window, limit, quantity, remaining)


def _next_reset(balances: Sequence[Balance]) -> datetime | None:
    """The first end of a window; sliding ones have none."""
    ends = (each.window.end for each in balances if each.resets is not Resets.SLIDING)
    return min((end for end in ends if end is not None), default=None)


def _sum(values: Iterator[Decimal]) -> Decimal:
    total = _ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total
