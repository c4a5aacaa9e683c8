"""What pays for an invoice without a payment: prepaid credits, credits of earlier invoices. Pure.

Balances are drained in the order given. None pays more than it holds, or than is due; what a
balance holds below a minor unit stays where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor

from app.invoicing.amounts.sheet import Exact, Sheet, Whole, half_away, plus
from app.kernel import shares
from app.kernel.copies import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """`amount` in major units. `kinds` are the kinds of lines that it may pay for; None: all."""

    id: str
    amount: Decimal
    kinds: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of a balance, in minor units.

    Per line in the sheet's order: `open` is what was to be paid of each that the balance may pay
    for, and `shares` what it paid. Both are empty for credits, which pay for the whole.
    """

    balance: Balance
    amount: int
    open: Exact = ()
    shares: Whole = ()


def draw(sheet: Sheet, balances: Sequence[Balance]) -> tuple[Sheet, list[Drawn]]:
    """The sheet after prepaid credits have paid for its lines. What is not drawn on is left out."""
    found = []
    for balance in balances:
        unpaid = tuple(_open(sheet, balance, index) for index in range(len(sheet.lines)))
        wanted = sum(unpaid, Fraction(0))
        amount = min(_available(sheet, balance), half_away(wanted), sheet.due)
        if amount <= 0:
            continue
        limits = [max(payable, 0) for payable in sheet.payable]
        exact = [amount * each / wanted for each in unpaid]
        drawn = Drawn(balance, amount, unpaid, tuple(shares.rounded(exact, amount, limits)))
        sheet = replace(
            sheet, prepaid=plus(sheet.prepaid, drawn.shares), due=sheet.due - drawn.amount
        )
        found.append(drawn)
    return sheet, found


def credit(sheet: Sheet, balances: Sequence[Balance]) -> tuple[Sheet, list[Drawn]]:
    """The sheet after credits of earlier invoices, which pay for the invoice as a whole."""
    found = []
    for balance in balances:
        amount = min(_available(sheet, balance), sheet.due)
        if amount > 0:
            sheet = replace(sheet, due=sheet.due - amount)
            found.append(Drawn(balance, amount))
    return sheet, found


def _open(sheet: Sheet, balance: Balance, index: int) -> Fraction:
    """What the balance may still pay of a line."""
    if balance.kinds is not None and sheet.lines[index].kind not in balance.kinds:
        return Fraction(0)
    return max(sheet.left[index] + sheet.added[index] - sheet.prepaid[index], Fraction(0))


def _available(sheet: Sheet, balance: Balance) -> int:
    return max(floor(sheet.minor(balance.amount)), 0)
