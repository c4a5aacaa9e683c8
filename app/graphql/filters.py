"""Filter inputs, one per type of value, and their translation into conditions.

An operator that is absent says nothing; null is refused, because a variable that happens to
be null would silently widen the filter to everything. `isNull` asks for null.
"""

from collections.abc import Iterator
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, TypeVar, cast

import strawberry
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from app.kernel.errors import Invalid
from app.kernel.listing import And, Condition, Not, Operation, Or, Where

E = TypeVar("E", bound=Enum)


def _op(description: str, name: str | None = None) -> Any:
    return strawberry.field(name=name, description=description, default=UNSET)


def and_filters() -> Any:
    """The field `and` of a filter input."""
    return _op("All of these; an empty list finds everything.", "and")


def or_filters() -> Any:
    """The field `or` of a filter input."""
    return _op("Any of these; an empty list finds nothing.", "or")


def not_filter() -> Any:
    """The field `not` of a filter input."""
    return _op("The opposite of this.", "not")


class Operators:
    """What the filters of single values share: their fields are operators."""

    def conditions(self, column: str, path: str) -> Iterator[Where]:
        """One condition per operator given. Raises: Invalid for null."""
        for operator in fields(cast("Any", self)):
            value = getattr(self, operator.name)
            if value is UNSET:
                continue
            name = operator.name.rstrip("_")
            if value is None:
                where_ = f"{path}.{to_camel_case(name)}"
                raise Invalid(
                    f"{where_}: null is no value to compare with; leave it out, or ask isNull",
                    field=where_,
                    code="NULL_IN_FILTER",
                )
            yield Condition(column, cast("Operation", name), _plain(value))


@strawberry.input(description="Conditions on text; all that are given must hold.")
class StringFilter(Operators):
    eq: str | None = _op("Equal, in the same case.")
    ne: str | None = _op("Not equal; no value is not equal either.")
    in_: list[str] | None = _op("One of these; an empty list finds nothing.", "in")
    not_in: list[str] | None = _op("None of these.")
    contains: str | None = _op("Contains this, in any case.")
    starts_with: str | None = _op("Starts with this, in any case.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on an id; all that are given must hold.")
class IdFilter(Operators):
    eq: strawberry.ID | None = _op("Equal.")
    ne: strawberry.ID | None = _op("Not equal; no value is not equal either.")
    in_: list[strawberry.ID] | None = _op("One of these; an empty list finds nothing.", "in")
    not_in: list[strawberry.ID] | None = _op("None of these.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on a value of an enum; all that are given must hold.")
class EnumFilter(Operators, Generic[E]):
    eq: E | None = _op("Equal.")
    ne: E | None = _op("Not equal; no value is not equal either.")
    in_: list[E] | None = _op("One of these; an empty list finds nothing.", "in")
    not_in: list[E] | None = _op("None of these.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on an instant; all that are given must hold.")
class DateTimeFilter(Operators):
    eq: datetime | None = _op("Equal, to the microsecond.")
    ne: datetime | None = _op("Not equal; no value is not equal either.")
    lt: datetime | None = _op("Before.")
    lte: datetime | None = _op("Before or equal.")
    gt: datetime | None = _op("After.")
    gte: datetime | None = _op("After or equal.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on a day; all that are given must hold.")
class DateFilter(Operators):
    eq: date | None = _op("Equal.")
    ne: date | None = _op("Not equal; no value is not equal either.")
    lt: date | None = _op("Before.")
    lte: date | None = _op("Before or equal.")
    gt: date | None = _op("After.")
    gte: date | None = _op("After or equal.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on a decimal number; all that are given must hold.")
class DecimalFilter(Operators):
    eq: Decimal | None = _op("Equal in value: 1.50 is 1.5.")
    ne: Decimal | None = _op("Not equal; no value is not equal either.")
    in_: list[Decimal] | None = _op("One of these; an empty list finds nothing.", "in")
    lt: Decimal | None = _op("Less.")
    lte: Decimal | None = _op("Less or equal.")
    gt: Decimal | None = _op("Greater.")
    gte: Decimal | None = _op("Greater or equal.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on a whole number; all that are given must hold.")
class IntFilter(Operators):
    eq: int | None = _op("Equal.")
    ne: int | None = _op("Not equal; no value is not equal either.")
    in_: list[int] | None = _op("One of these; an empty list finds nothing.", "in")
    lt: int | None = _op("Less.")
    lte: int | None = _op("Less or equal.")
    gt: int | None = _op("Greater.")
    gte: int | None = _op("Greater or equal.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="Conditions on yes or no; all that are given must hold.")
class BooleanFilter(Operators):
    eq: bool | None = _op("Equal.")
    ne: bool | None = _op("Not equal; no value is not equal either.")
    is_null: bool | None = _op("Whether there is no value.")


@strawberry.input(description="One entry of the metadata that must be there.")
class MetadataFilter:
    key: str = strawberry.field(description="The entry's key.")
    eq: str = strawberry.field(description="The entry's value.")

    def conditions(self, column: str, path: str) -> Iterator[Where]:
        yield Condition(column, "contains", {self.key: self.eq})


def where(filter_: object, path: str = "filter") -> Where | None:
    """The conditions of a filter input; None when it says nothing. Raises: Invalid.

    The input's fields are named like the listing's columns; `and_`, `or_` and `not_` combine.
    """
    if filter_ is None or filter_ is UNSET:
        return None
    parts: list[Where] = []
    for field in fields(cast("Any", filter_)):
        value = getattr(filter_, field.name)
        if value is UNSET:
            continue
        here = f"{path}.{to_camel_case(field.name.rstrip('_'))}"
        if value is None:
            raise Invalid(
                f"{here}: null says nothing; leave it out, or ask {{isNull: true}}",
                field=here,
                code="NULL_IN_FILTER",
            )
        if field.name in ("and_", "or_"):
            inner = [where(part, f"{here}[{i}]") or And(()) for i, part in enumerate(value)]
            parts.append(And(tuple(inner)) if field.name == "and_" else Or(tuple(inner)))
        elif field.name == "not_":
            parts.append(Not(where(value, here) or And(())))
        else:
            parts.extend(value.conditions(field.name, here))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
