"""The credit for time that was paid and not served. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.kernel.quantity import EXACT, fraction_rounded


@dataclass(frozen=True, slots=True)
class UnusedCredit:
    """Major units, rounded; `total` is `net` and `tax` together."""

    net: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return EXACT.add(self.net, self.tax)


def unused_credit(
    amount: Decimal, unused: Fraction, *, tax_percent: Decimal, decimals: int
) -> UnusedCredit:
    """The part of `amount` for the part of its period that was not served, with its tax.

    The tax is taken on the credit before that is rounded: each is rounded once.
    Raises ValueError for a part that is not between 0 and 1.
    """
    if not 0 <= unused <= 1:
        raise ValueError(f"a part of a period lies between 0 and 1, not at {unused}")
    net = Fraction(amount) * unused
    return UnusedCredit(
        fraction_rounded(net, decimals),
        fraction_rounded(net * Fraction(tax_percent) / 100, decimals),
    )
