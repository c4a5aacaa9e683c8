"""What a subscription is given of a feature at an instant: the rows in force. Pure.

An entitlement of the subscription itself takes the place of what the plan gives, of what plan
and addons give, or of nothing, as it says; what remains adds up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self

from app.catalog.entitlement import Entitlement, Overrides, OwnerKind
from app.subscriptions.holding import Holding
from app.subscriptions.subscription import Subscription

# The most specific first.
_RANK = {OwnerKind.SUBSCRIPTION: 0, OwnerKind.ADDON: 1, OwnerKind.PLAN: 2}
_OVERRIDDEN: dict[Overrides, frozenset[OwnerKind]] = {
    Overrides.ALL: frozenset({OwnerKind.PLAN, OwnerKind.ADDON}),
    Overrides.PLAN: frozenset({OwnerKind.PLAN}),
    Overrides.NOTHING: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Given:
    """An entitlement that a subscription has, `quantity` times, from `start` until before
    `end` (None: as long as the subscription runs)."""

    subscription_id: str
    entitlement: Entitlement
    quantity: Decimal
    start: datetime
    end: datetime | None

    @classmethod
    def cut(
        cls,
        subscription: Subscription,
        entitlement: Entitlement,
        *,
        quantity: Decimal,
        start: datetime | None,
        end: datetime | None,
    ) -> Self | None:
        """Cut to the time that the subscription runs; None where it never does then.

        `start` and `end` None: with the subscription.
        """
        start = max(start or subscription.starts_at, subscription.starts_at)
        end = min((at for at in (end, subscription.ends_at) if at is not None), default=None)
        if end is not None and end <= start:
            return None
        return cls(subscription.id, entitlement, quantity, start, end)

    def at(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)

    @property
    def order(self) -> tuple[int, str]:
        """The most specific first, then the oldest."""
        return _RANK[self.entitlement.owner.kind], self.entitlement.id


@dataclass(frozen=True, slots=True)
class Entitled:
    """A subscription with everything it was ever given, by feature."""

    subscription: Subscription
    given: Mapping[str, tuple[Given, ...]]

    def of(self, feature_id: str) -> tuple[Given, ...]:
        return self.given.get(feature_id, ())

    def in_force(self, at: datetime) -> list[Given]:
        """What counts at `at`, feature by feature."""
        return [each for given in self.given.values() for each in in_force(given, at)]


def entitled(
    subscription: Subscription,
    holdings: Iterable[Holding],
    bought: Mapping[str, Entitlement],
    own: Iterable[Entitlement],
) -> Entitled:
    """`bought` has the rows that the holdings name, `own` are the subscription's."""
    found = [*_held(subscription, holdings, bought), *_own(subscription, own)]
    return put_together(subscription, [given for given in found if given is not None])


def put_together(subscription: Subscription, given: Iterable[Given]) -> Entitled:
    """What was given, by feature."""
    found: dict[str, list[Given]] = {}
    for each in given:
        found.setdefault(each.entitlement.feature_id, []).append(each)
    return Entitled(
        subscription,
        {key: tuple(sorted(of, key=lambda each: each.order)) for key, of in found.items()},
    )


def in_force(given: Sequence[Given], at: datetime) -> list[Given]:
    """Those of one feature and subscription that count at `at`, the most specific first."""
    now = [each for each in given if each.at(at)]
    gone: set[OwnerKind] = set()
    for each in now:
        if each.entitlement.overrides is not None:
            gone |= _OVERRIDDEN[each.entitlement.overrides]
    return [each for each in now if each.entitlement.owner.kind not in gone]


def bounds(given: Sequence[Given]) -> list[datetime]:
    """The instants at which what is in force may change, in order."""
    found = {each.start for each in given}
    return sorted(found | {each.end for each in given if each.end is not None})


def _held(
    subscription: Subscription, holdings: Iterable[Holding], bought: Mapping[str, Entitlement]
) -> Iterator[Given | None]:
    for holding in holdings:
        for entitlement_id in holding.entitlement_ids:
            yield Given.cut(
                subscription,
                bought[entitlement_id],
                quantity=holding.quantity,
                start=holding.starts_at,
                end=holding.ends_at,
            )


def _own(subscription: Subscription, own: Iterable[Entitlement]) -> Iterator[Given | None]:
    for each in own:
        yield Given.cut(
            subscription,
            each,
            quantity=Decimal(1),
            start=each.effective_from,
            end=each.effective_until,
        )
