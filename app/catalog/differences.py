"""What two versions charge differently. Pure."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from app.catalog.price import ChargeKind, Price

# What makes up a price's substance, by the names of its fields.
SUBSTANCE = (
    "feature_id",
    "meter_id",
    "charge",
    "billing",
    "model",
    "adjustments",
    "currency",
    "conversion",
    "cadence",
    "timing",
    "group_by",
    "trial_days",
)


@dataclass(frozen=True, slots=True)
class Change:
    """The same charge on other terms; `fields` are those of `SUBSTANCE` that differ."""

    before: Price
    after: Price
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Every price of either side is in exactly one of these."""

    added: tuple[Price, ...]
    ended: tuple[Price, ...]
    changed: tuple[Change, ...]
    kept: tuple[tuple[Price, Price], ...]


def difference(before: Sequence[Price], after: Sequence[Price]) -> Difference:
    """Pairs what charges for the same, and compares the pairs.

    A pair shares its lineage; else its lookup key; else its terms; else what it charges for, how
    often and in which currency. Each price is in one pair at most; where several would fit, they
    are paired in their order.
    """
    left, right = list(before), list(after)
    pairs: list[tuple[Price, Price]] = []
    for key in _KEYS:
        found = list(_paired(left, right, key))
        pairs += found
        taken = {price.id for pair in found for price in pair}
        left = [price for price in left if price.id not in taken]
        right = [price for price in right if price.id not in taken]
    return Difference(
        added=tuple(right),
        ended=tuple(left),
        changed=tuple(
            Change(old, new, _differing(old, new))
            for old, new in pairs
            if old.content_hash != new.content_hash
        ),
        kept=tuple(pair for pair in pairs if pair[0].content_hash == pair[1].content_hash),
    )


def _paired(
    left: Sequence[Price], right: Sequence[Price], key: Callable[[Price], Hashable | None]
) -> Iterator[tuple[Price, Price]]:
    """Prices with equal keys, each once; None fits nothing."""
    waiting: defaultdict[Hashable, list[Price]] = defaultdict(list)
    for price in right:
        waiting[key(price)].append(price)
    for price in left:
        found = key(price)
        if found is not None and waiting[found]:
            yield price, waiting[found].pop(0)


def _charges(price: Price) -> Hashable:
    """What is charged for, how often and in which currency; a fee is known by its name."""
    fee = price.display_name if price.charge is ChargeKind.FIXED else None
    return price.charge, price.feature_id, fee, price.billing, price.currency, price.cadence


_KEYS: tuple[Callable[[Price], Hashable | None], ...] = (
    lambda price: price.lineage_id,
    lambda price: price.lookup_key,
    lambda price: price.content_hash,
    _charges,
)


def _differing(before: Price, after: Price) -> tuple[str, ...]:
    return tuple(name for name in SUBSTANCE if getattr(before, name) != getattr(after, name))
