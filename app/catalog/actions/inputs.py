"""Checks that the nouns of the catalogue share, by the name of the column they lead to."""

from decimal import Decimal

from app.kernel import checks
from app.kernel.checks import Checks, required
from app.kernel.currencies import minor_units
from app.kernel.quantity import round_half_away

DESCRIPTION_LENGTH = 2000
UNIT_LENGTH = 64
PERCENT_DECIMALS = 6


NAMED: Checks = {
    "name": lambda v: checks.text(required(v, "name"), "name"),
    "lookup_key": lambda v: checks.key(required(v, "lookupKey"), "lookupKey"),
    "description": lambda v: checks.optional_text(v, "description", longest=DESCRIPTION_LENGTH),
    "metadata": lambda v: checks.metadata(v or {}),
}
# A lookup key never changes.
CHANGEABLE: Checks = {name: check for name, check in NAMED.items() if name != "lookup_key"}


def percentage(value: Decimal, field: str, *, most: Decimal) -> Decimal:
    """A percentage above 0. Raises: Invalid."""
    if not 0 < value <= most:
        raise checks.invalid(field, f"{value} must be above 0 and at most {most}")
    if value != round_half_away(value, PERCENT_DECIMALS):
        raise checks.invalid(field, f"{value} has more than {PERCENT_DECIMALS} decimals")
    return value


def money(value: Decimal, currency: str, field: str) -> Decimal:
    """An amount above 0 in whole minor units of the currency. Raises: Invalid.

    `field` is the input that holds both `amount` and `currency`.
    """
    decimals = minor_units(checks.currency(currency, f"{field}.currency"))
    if not 0 < value < Decimal(10) ** 20:
        raise checks.invalid(f"{field}.amount", f"{value} must be above 0 and below 10^20")
    if value != round_half_away(value, decimals):
        raise checks.invalid(
            f"{field}.amount", f"{value} has more than the {decimals} decimals of {currency}"
        )
    return value
