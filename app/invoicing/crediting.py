"""What a credit note gives back of the lines of an invoice. Pure.

A part of a line gives back its share of the line's discount and tax. Shares are rounded so that
what was given back so far is in proportion, and the note that gives back the rest absorbs what
rounding has left: all notes together come to the line, and never to more. What rounding a line
leaves is carried to the next line of the note, so that a note of many lines is in proportion, too.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from app.invoicing.credit_note import NO_AMOUNTS, Amounts, Part
from app.invoicing.errors import BeyondLine, NothingToCredit
from app.invoicing.invoice import InvoiceLine
from app.kernel.currencies import minor_units
from app.kernel.errors import Invalid, NotFound
from app.kernel.quantity import EXACT, fraction_rounded

# By the invoice line's id, what notes in force have given back of it.
Earlier = Mapping[str, Amounts]
# By the name of an amount, what rounding it has left over so far, in major units.
Carried = defaultdict[str, Fraction]
_NOTHING = Decimal(0)


def given_back(
    lines: Sequence[InvoiceLine], parts: Sequence[Part], earlier: Earlier
) -> list[tuple[InvoiceLine, Amounts]]:
    """The lines that the parts are of, with what is given back of each, in the invoice's order.

    Without parts: the rest of every line. Raises: Invalid, NotFound (no such line), BeyondLine,
    NothingToCredit.
    """
    wanted = _wanted(lines, parts)
    found = []
    carried: Carried = defaultdict(Fraction)
    for line in lines:
        if line.id not in wanted:
            continue
        amount, field = wanted[line.id]
        before = earlier.get(line.id, NO_AMOUNTS)
        left = EXACT.subtract(line.amount, before.amount)
        if amount is None:
            if left <= 0 and not parts:
                continue
            amount = left
        _check(line, amount, left, field)
        found.append((line, share(line, amount, before, carried)))
    if not found:
        raise NothingToCredit
    return found


def share(
    line: InvoiceLine, amount: Decimal, before: Amounts, carried: Carried | None = None
) -> Amounts:
    """What giving back `amount` of the line comes to, after what was given back `before`.

    `carried` is what the lines before it in the note have left over, which is brought on.
    """
    decimals = minor_units(line.currency)
    reached = Fraction(EXACT.add(before.amount, amount)) / Fraction(line.amount)
    left_over: Carried = defaultdict(Fraction) if carried is None else carried
    left = _left(line, before)

    def step(name: str, whole: Decimal, given: Decimal, *, low: Decimal, high: Decimal) -> Decimal:
        """From what was given to what is due of `whole` by now, at least `low`, at most `high`."""
        exact = Fraction(whole) * reached - Fraction(given)
        due = fraction_rounded(exact + left_over[name], decimals)
        part = min(max(due, low), high)
        left_over[name] += exact - Fraction(part)
        return part

    # The bounds leave enough of each for the note that gives back the rest.
    low = left.tax if reached == 1 else _NOTHING
    tax = step("tax", line.tax, before.tax, low=low, high=left.tax)
    low = EXACT.subtract(left.tax_included, EXACT.subtract(left.tax, tax))
    high = min(left.tax_included, tax)
    included = step(
        "tax_included", line.tax_included, before.tax_included, low=max(low, _NOTHING), high=high
    )
    most = EXACT.add(amount, EXACT.subtract(tax, included))
    low = EXACT.subtract(most, left.discount)
    high = min(EXACT.subtract(_billed(line), before.total), most)
    total = step("total", _billed(line), before.total, low=max(low, _NOTHING), high=high)
    return Amounts(amount, EXACT.subtract(most, total), tax, included)


def _left(line: InvoiceLine, before: Amounts) -> Amounts:
    """What has not been given back of the line."""
    return Amounts(
        EXACT.subtract(line.amount, before.amount),
        EXACT.subtract(line.discount, before.discount),
        EXACT.subtract(line.tax, before.tax),
        EXACT.subtract(line.tax_included, before.tax_included),
    )


def _billed(line: InvoiceLine) -> Decimal:
    """What the line came to; what prepaid credits paid of it was paid."""
    return EXACT.add(line.total, line.prepaid)


def _wanted(
    lines: Sequence[InvoiceLine], parts: Sequence[Part]
) -> dict[str, tuple[Decimal | None, str]]:
    if not parts:
        return {line.id: (None, "lines") for line in lines if line.amount > 0}
    known = {line.id for line in lines}
    wanted: dict[str, tuple[Decimal | None, str]] = {}
    for index, part in enumerate(parts):
        field = f"lines[{index}]"
        if part.line_id not in known:
            raise NotFound("invoice line", part.line_id, field=f"{field}.lineId")
        if part.line_id in wanted:
            raise Invalid(
                f"{field}.lineId: line {part.line_id} is named twice; give its amounts together",
                field=f"{field}.lineId",
                code="LINE_TWICE",
            )
        wanted[part.line_id] = part.amount, field
    return wanted


def _check(line: InvoiceLine, amount: Decimal, left: Decimal, field: str) -> None:
    field = f"{field}.amount"
    decimals = minor_units(line.currency)
    if not amount.is_finite() or amount <= 0:
        if left <= 0:
            raise BeyondLine(line.id, amount, left, field=field)
        raise Invalid(f"{field}: {amount} is not more than 0", field=field, code="NOT_POSITIVE")
    if amount != fraction_rounded(Fraction(amount), decimals):
        raise Invalid(
            f"{field}: {amount} has more than the {decimals} decimals of {line.currency}",
            field=field,
            code="TOO_MANY_DECIMALS",
        )
    if amount > left:
        raise BeyondLine(line.id, amount, left, field=field)
