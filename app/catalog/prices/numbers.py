"""What a number in a price may be. Messages name the field as the caller spells it."""

from decimal import Decimal

from app.kernel.errors import Invalid
from app.kernel.quantity import Number

# With these bounds the product of a price and any stored quantity is exact in 200 digits.
INTEGER_DIGITS = 18
DECIMALS = 18
MOST = 10**9


def amount(value: Decimal, field: str) -> Decimal:
    """Not negative, finite, at most 18 digits before and 18 after the point. Raises: Invalid."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{field} is a Decimal, not {value!r}")
    if not value.is_finite():
        raise Invalid(f"{field}: {value} is not a finite number", field=field, code="NOT_FINITE")
    if value < 0:
        raise Invalid(f"{field}: {value} must not be negative", field=field, code="NEGATIVE_AMOUNT")
    exponent = value.as_tuple().exponent
    if value.adjusted() >= INTEGER_DIGITS or (isinstance(exponent, int) and exponent < -DECIMALS):
        raise Invalid(
            f"{field}: {value} has too many digits; at most {INTEGER_DIGITS} fit before the "
            f"point and {DECIMALS} after it",
            field=field,
            code="TOO_MANY_DIGITS",
        )
    return value


def optional_amount(value: Decimal | None, field: str) -> Decimal | None:
    """An `amount`, or none. Raises: Invalid."""
    return None if value is None else amount(value, field)


def count(value: int, field: str) -> int:
    """A number of things: from 0 to a billion. Raises: Invalid."""
    if not 0 <= value <= MOST:
        raise Invalid(
            f"{field}: {value} must lie between 0 and {MOST}", field=field, code="INVALID_COUNT"
        )
    return value


def positive(value: Decimal, field: str) -> Decimal:
    """An `amount` above zero. Raises: Invalid."""
    if amount(value, field) == 0:
        raise Invalid(f"{field}: must be greater than 0", field=field, code="NOT_POSITIVE")
    return value


def quantity(value: Number) -> Number:
    """A quantity that can be priced: finite and not negative. Raises: Invalid."""
    if isinstance(value, Decimal) and not value.is_finite():
        raise Invalid(
            f"quantity: {value} is not a finite number", field="quantity", code="NOT_FINITE"
        )
    if value < 0:
        raise Invalid(
            f"quantity: {value} must not be negative; usage that nets below zero is priced as 0 "
            "by the caller, not here",
            field="quantity",
            code="NEGATIVE_QUANTITY",
        )
    return value
