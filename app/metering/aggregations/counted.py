"""What one event adds to a meter, and which texts are numbers: in Python and in SQL alike."""

import re
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from app.kernel.quantity import EXACT, QUANTITY_DECIMALS, QUANTITY_INTEGER_DIGITS

# A number as JSON writes it, and also with a leading `+`, `.5` and `5.`, which texts hold.
# No blanks, no other base, no NaN, no infinity. The bounds on the length and on the exponent
# keep to what the server's own conversion reads to the last digit.
LONGEST = 64
PATTERN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE](?:\+?[0-3]?[0-9]|-[0-9]{1,2}))?$"
_NUMBER = re.compile(PATTERN.strip("^$"))
_LIMIT = Decimal(10) ** QUANTITY_INTEGER_DIGITS
_STEP = Decimal(1).scaleb(-QUANTITY_DECIMALS)
_CUTTING = Context(prec=200, rounding=ROUND_DOWN)


# What each metered row adds to the total, in the order of the rows; see `contributions`.
PLAIN_CONTRIBUTION = "quantity"


@dataclass(frozen=True, slots=True)
class Counted:
    """What an event that counts adds: a quantity, and the value that must be distinct."""

    quantity: Decimal
    unique_value: str = ""


def number(text: str | None) -> Decimal | None:
    """The quantity that a property's text stands for; None where it is not a number.

    Digits beyond the 18th decimal are cut off, towards zero. A number of 10^38 or more in
    size is none.
    """
    if text is None or len(text) > LONGEST or not _NUMBER.fullmatch(text):
        return None
    value = EXACT.create_decimal(text)
    if value.copy_abs() >= _LIMIT:  # `abs` would round to the digits of the default context
        return None
    return value.quantize(_STEP, context=_CUTTING)


def number_sql(value: str) -> str:
    """`number` in SQL: Nullable(Decimal(76, 18)) of a Nullable(String) expression."""
    pattern = PATTERN.replace("\\", "\\\\")
    limit = f"1{'0' * QUANTITY_INTEGER_DIGITS}"
    decimal = f"toDecimal256OrNull({value}, {QUANTITY_DECIMALS})"
    return (
        f"if(length({value}) <= {LONGEST} AND match(assumeNotNull({value}), '{pattern}') "
        f"AND abs({decimal}) < toDecimal256('{limit}', 0), {decimal}, NULL)"
    )


def total_of(value: str) -> str:
    """An integer expression as a quantity."""
    return f"toDecimal256({value}, {QUANTITY_DECIMALS})"
