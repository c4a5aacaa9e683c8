"""Values as they travel: decimals as strings, instants in UTC, nothing rounded on the way."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NewType, Self

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from app.kernel import money
from app.kernel.quantity import QUANTITY_DECIMALS, QUANTITY_INTEGER_DIGITS, parse_decimal, plain

JSON = NewType("JSON", object)
Metadata = NewType("Metadata", Mapping[str, str])

_DECIMAL = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_SHOWN = 60  # characters of a wrong value that a message repeats


def parse_exact(value: object) -> Decimal:
    """A decimal from input: text or an integer, never a float, which is not exact."""
    if type(value) is int and abs(value) < 10**QUANTITY_INTEGER_DIGITS:
        return Decimal(value)
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise _wrong("Decimal", value, 'a decimal in a string, such as "12.50"')
    whole, _, decimals = value.lstrip("-").partition(".")
    if len(whole.lstrip("0")) > QUANTITY_INTEGER_DIGITS or len(decimals) > QUANTITY_DECIMALS:
        raise _wrong(
            "Decimal",
            value,
            f"at most {QUANTITY_INTEGER_DIGITS} digits before the point and "
            f"{QUANTITY_DECIMALS} after it",
        )
    return parse_decimal(value)


def parse_instant(value: object) -> datetime:
    """An instant from input: ISO 8601 with a zone, in UTC afterwards."""
    expected = "ISO 8601 with a zone and at most microseconds, such as 2026-01-31T09:30:00Z"
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        raise _wrong("DateTime", value, expected)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _wrong("DateTime", value, expected) from error


def parse_date(value: object) -> date:
    expected = "ISO 8601, such as 2026-01-31"
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise _wrong("Date", value, expected)
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise _wrong("Date", value, expected) from error


def parse_json(value: object) -> Any:
    """Any JSON value; numbers must be finite."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise _wrong("JSON", item, "a finite number")
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return value


def parse_metadata(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _wrong("Metadata", value, 'an object of strings, such as {"team": "growth"}')
    return value


def show_instant(value: datetime) -> str:
    """`2026-01-31T09:30:00Z`, with microseconds only where there are some."""
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no zone")
        value = value.astimezone(UTC)
    return value.isoformat()[:-6] + "Z"


def _show_decimal(value: Decimal) -> str:
    if type(value) is not Decimal or not value.is_finite():
        raise ValueError(f"{value!r} is not a finite decimal")
    return plain(value)


def _wrong(scalar: str, value: object, expected: str) -> GraphQLError:
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "…"
    return GraphQLError(f"{scalar} cannot be {shown}: expected {expected}")


SCALARS: dict[object, ScalarDefinition] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description='An exact decimal number in a string, such as "12.5". Input takes strings '
        f"and integers, at most {QUANTITY_INTEGER_DIGITS} digits before the point and "
        f"{QUANTITY_DECIMALS} after it.",
        serialize=_show_decimal,
        parse_value=parse_exact,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant in ISO 8601. Output is in UTC and ends with Z; input needs a "
        "zone and has at most microseconds.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=show_instant,
        parse_value=parse_instant,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day of the calendar in ISO 8601, such as 2026-01-31.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date",
        serialize=date.isoformat,
        parse_value=parse_date,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, such as an object of metadata.",
        parse_value=parse_json,
    ),
    Metadata: strawberry.scalar(
        name="Metadata",
        description='An object whose values are all strings, such as {"team": "growth"}.',
        parse_value=parse_metadata,
    ),
}


@strawberry.type(description="An amount of one currency.")
class Money:
    amount: Decimal = strawberry.field(description="In major units: dollars, not cents.")
    currency: str = strawberry.field(description="ISO 4217 code, such as USD.")

    @classmethod
    def of(cls, value: money.Money) -> Self:
        return cls(amount=value.amount, currency=value.currency)


@strawberry.input(description="An amount of one currency.")
class MoneyInput:
    amount: Decimal = strawberry.field(description="In major units: dollars, not cents.")
    currency: str = strawberry.field(description="ISO 4217 code, such as USD.")
