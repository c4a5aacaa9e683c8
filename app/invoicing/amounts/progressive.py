"""Billing as soon as spend crosses a threshold, before the period ends. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.kernel.quantity import EXACT, whole_steps


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Amounts of lifetime spend, ascending; beyond the last, one more every `recurring`.

    Raises ValueError for amounts that are not positive and ascending.
    """

    fixed: tuple[Decimal, ...]
    recurring: Decimal | None = None

    def __post_init__(self) -> None:
        steps = zip((Decimal(0), *self.fixed), self.fixed, strict=False)
        if any(after <= before for before, after in steps):
            raise ValueError(f"thresholds ascend from above 0, unlike {self.fixed}")
        if self.recurring is not None and self.recurring <= 0:
            raise ValueError(f"a recurring threshold is above 0, not {self.recurring}")

    def crossed(self, before: Decimal, after: Decimal) -> bool:
        """Whether spend that grew from `before` to `after` reached a threshold on the way."""
        return self._reached(after) > self._reached(before)

    def _reached(self, spend: Decimal) -> Decimal:
        """How many thresholds lie at or below the spend."""
        reached = Decimal(sum(1 for threshold in self.fixed if threshold <= spend))
        last = self.fixed[-1] if self.fixed else Decimal(0)
        if self.recurring is None or spend < last:
            return reached
        beyond = EXACT.subtract(spend, last)
        return EXACT.add(reached, whole_steps(beyond, self.recurring, up=False))


def billed(thresholds: Thresholds, spending: Sequence[Decimal]) -> Iterator[Decimal | None]:
    """For each amount that is spent, what is billed at once: all spend so far that is not billed.

    None where no threshold is reached. What was billed early is credited on the period's invoice.
    """
    spent = unbilled = Decimal(0)
    for amount in spending:
        before, spent = spent, EXACT.add(spent, amount)
        unbilled = EXACT.add(unbilled, amount)
        if thresholds.crossed(before, spent):
            yield unbilled
            unbilled = Decimal(0)
        else:
            yield None
