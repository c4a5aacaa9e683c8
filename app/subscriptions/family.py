"""From when until when a subscription counts the usage of its customer's family. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.period import Period

_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FamilyUsage:
    """The usage of the customer's children counts as its own from `starts_at` (None: the start)
    until before `ends_at` (None: until further notice).

    `per_customer`: an invoice has a line for each of the family who used anything.
    """

    per_customer: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def period(self) -> Period:
        return Period(self.starts_at or _FIRST, self.ends_at or _LAST)


def wanted(counts: bool, per_customer: bool) -> tuple[FamilyUsage, ...]:
    """As a subscription has it from its start on.

    Raises: Invalid (FAMILY_USAGE_REQUIRED).
    """
    if per_customer and not counts:
        raise Invalid(
            "linesPerCustomer: only where the usage of the family counts",
            field="linesPerCustomer",
            code="FAMILY_USAGE_REQUIRED",
        )
    return (FamilyUsage(per_customer),) if counts else ()


def within(families: Sequence[FamilyUsage], period: Period) -> tuple[Period, ...]:
    """The parts of the period in which the family's usage counts."""
    if not families:
        return ()
    found = (each.period.intersection(period) for each in families)
    return tuple(part for part in found if part is not None)


def joined(periods: Collection[Period]) -> list[Period]:
    """The periods in order, those that touch or overlap as one."""
    found: list[Period] = []
    for each in sorted(periods):
        if found and each.start <= found[-1].end:
            found[-1] = Period(found[-1].start, max(found[-1].end, each.end))
        else:
            found.append(each)
    return found


def is_per_customer(families: Sequence[FamilyUsage], period: Period) -> bool:
    """Whether the lines of the period are per customer: as was said last."""
    if not families:
        return False
    held = [each for each in families if each.period.intersection(period) is not None]
    return bool(held) and held[-1].per_customer


def in_force(families: Sequence[FamilyUsage], at: datetime) -> FamilyUsage | None:
    return next((each for each in families if each.period.contains(at)), None)


def changed(
    families: Sequence[FamilyUsage], wanted: FamilyUsage | None, boundary: datetime | None
) -> tuple[FamilyUsage, ...]:
    """What holds once it is `wanted` (None: no family) from the boundary between two periods on;
    from the start, where there is none."""
    if boundary is None:
        return () if wanted is None else (wanted,)
    kept = [each for each in families if each.period.start < boundary]
    going_on = bool(kept) and kept[-1].period.end >= boundary
    if going_on and wanted is not None and kept[-1].per_customer == wanted.per_customer:
        return (*kept[:-1], replace(kept[-1], ends_at=None))
    if going_on:
        kept[-1] = replace(kept[-1], ends_at=boundary)
    return tuple(kept) if wanted is None else (*kept, replace(wanted, starts_at=boundary))
