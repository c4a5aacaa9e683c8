"""What an invoice comes to. Pure."""

from decimal import Decimal
from typing import Self

from msgspec import Struct

from app.kernel.quantity import EXACT

NOTHING = Decimal(0)


class Totals(Struct, frozen=True, kw_only=True):
    """Amounts in major units of one currency, each a whole number of minor units.

    `subtotal` is the sum of the lines; `discount`, `prepaid` and `tax` are the sums of the
    lines' own. `tax_included` is the part of `tax` that the lines' amounts hold already.
    `credited` is what credits of earlier invoices pay when it is issued.

    total = subtotal − discount − prepaid + tax − tax_included
    amount_due = total − credited, and never below zero
    """

    subtotal: Decimal
    discount: Decimal
    prepaid: Decimal
    tax: Decimal
    tax_included: Decimal
    total: Decimal
    credited: Decimal
    amount_due: Decimal

    @classmethod
    def of(
        cls,
        subtotal: Decimal,
        *,
        discount: Decimal = NOTHING,
        prepaid: Decimal = NOTHING,
        tax: Decimal = NOTHING,
        tax_included: Decimal = NOTHING,
        credited: Decimal = NOTHING,
    ) -> Self:
        """The totals that follow. Raises ValueError for credits above the total."""
        added = EXACT.subtract(tax, tax_included)
        taken = EXACT.add(discount, prepaid)
        total = EXACT.add(EXACT.subtract(subtotal, taken), added)
        if not 0 <= credited <= max(total, NOTHING):
            raise ValueError(f"credits of {credited} do not fit a total of {total}")
        return cls(
            subtotal=subtotal,
            discount=discount,
            prepaid=prepaid,
            tax=tax,
            tax_included=tax_included,
            total=total,
            credited=credited,
            amount_due=max(EXACT.subtract(total, credited), NOTHING),
        )

    @property
    def is_nothing(self) -> bool:
        """Nothing was charged, and nothing is asked for: no invoice need be sent."""
        return not self.subtotal and not self.total
