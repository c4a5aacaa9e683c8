"""Who belongs to a parent's family, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.kernel.period import Period

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Membership:
    """The usage of the customer from `starts_at` until before `ends_at` (None: until further
    notice) is its parent's too, where a subscription of that counts its family's.

    It begins and ends with the present, so what it says of the past never changes.
    """

    parent_id: str
    customer_id: str
    external_id: str
    starts_at: datetime
    ends_at: datetime | None

    @property
    def period(self) -> Period:
        return Period(self.starts_at, self.ends_at or _FOREVER)


def others_of(
    memberships: Sequence[Membership], within: Sequence[Period]
) -> tuple[tuple[str, Period], ...]:
    """Whose usage counts with the parent's, and when, by the names that events carry; `within`:
    when the family counts at all."""
    both = (
        (each.external_id, each.period.intersection(part))
        for each in memberships
        for part in within
    )
    return tuple((name, part) for name, part in both if part is not None)
