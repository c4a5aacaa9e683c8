"""Filters to SQL. Every value travels as a parameter, cast to its column's type."""

from collections.abc import Callable
from typing import Any

import orjson

from app.infra.listing.columns import SQL_TYPE, Column, Kind, Listing, fits
from app.kernel.errors import Invalid
from app.kernel.listing import (
    MAX_CONDITIONS,
    MAX_NESTING,
    MAX_SEARCH_CHARACTERS,
    MAX_VALUES,
    And,
    Condition,
    Not,
    Operation,
    Or,
    Where,
)

_EQUALITY: frozenset[Operation] = frozenset({"eq", "ne", "in", "not_in", "is_null"})
_RANGE: frozenset[Operation] = _EQUALITY | {"lt", "lte", "gt", "gte"}
_ALLOWED: dict[Kind, frozenset[Operation]] = {
    "string": _RANGE | {"contains", "starts_with"},
    "id": _EQUALITY,
    "enum": _EQUALITY,
    "datetime": _RANGE,
    "date": _RANGE,
    "decimal": _RANGE,
    "integer": _RANGE,
    "boolean": frozenset({"eq", "ne", "is_null"}),
    "string_list": frozenset({"contains", "is_null"}),
    "json": frozenset({"contains", "is_null"}),
}
_COMPARISONS = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class Parameters:
    """Collects the values of a statement and hands out their places."""

    def __init__(self, *values: Any) -> None:
        self.values: list[Any] = list(values)

    def add(self, value: Any, sql_type: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{sql_type}"


def where_sql(listing: Listing, where: Where, parameters: Parameters) -> str:
    """The predicate of a filter. Raises: Invalid (INVALID_FILTER, FILTER_TOO_LARGE)."""

    def condition_sql(condition: Condition) -> str:
        return _condition(listing, condition, parameters)

    # Not NOT: what is unknown is false, so its negation is true.
    return predicate(where, condition_sql, negation="({}) IS NOT TRUE")


def predicate(where: Where, condition_sql: Callable[[Condition], str], *, negation: str) -> str:
    """A filter in SQL, given its conditions in SQL. `negation` has a place `{}` for what it turns.

    Raises: Invalid (FILTER_TOO_LARGE).
    """
    budget = [MAX_CONDITIONS]

    def compiled(node: Where, depth: int) -> str:
        budget[0] -= 1
        if budget[0] < 0 or depth > MAX_NESTING:
            raise Invalid(
                f"filter: at most {MAX_CONDITIONS} conditions, nested {MAX_NESTING} deep",
                field="filter",
                code="FILTER_TOO_LARGE",
            )
        if isinstance(node, Condition):
            return condition_sql(node)
        if isinstance(node, Not):
            return negation.format(compiled(node.part, depth + 1))
        parts = [f"({compiled(part, depth + 1)})" for part in node.parts]
        if isinstance(node, And):
            return " AND ".join(parts) or "TRUE"
        return " OR ".join(parts) or "FALSE"

    return compiled(where, 0)


def search_where(listing: Listing, text: str) -> Where | None:
    """Rows in which every word of `text` occurs in some searchable column."""
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise Invalid(
            f"search: at most {MAX_SEARCH_CHARACTERS} characters, got {len(text)}",
            field="search",
            code="INVALID_SEARCH",
        )
    if not listing.searchable:
        raise Invalid(
            f"search: {listing.table} cannot be searched", field="search", code="INVALID_SEARCH"
        )
    words = [
        Or(tuple(Condition(name, "contains", word) for name in listing.searchable))
        for word in text.split()
    ]
    return And(tuple(words)) if words else None


def _condition(listing: Listing, condition: Condition, parameters: Parameters) -> str:
    column = listing.by_name.get(condition.field)
    if column is None:
        raise refused(condition, f"{listing.table} cannot be filtered by it")
    if condition.op not in _ALLOWED[column.kind]:
        raise refused(condition, f"a {column.kind} has no {condition.op}")
    _check(column, condition)
    expression, value, sql_type = column.expression, condition.value, SQL_TYPE[column.kind]
    match condition.op:
        case "is_null":
            return f"{expression} IS NULL" if value else f"{expression} IS NOT NULL"
        case "ne":
            return f"{expression} IS DISTINCT FROM {parameters.add(value, sql_type)}"
        case "in":
            return f"{expression} = ANY({parameters.add(_listed(value), sql_type + '[]')})"
        case "not_in":
            place = parameters.add(_listed(value), sql_type + "[]")
            return f"({expression} = ANY({place})) IS NOT TRUE"
        case "contains" if column.kind == "json":
            return f"{expression} @> {parameters.add(orjson.dumps(value).decode(), 'jsonb')}"
        case "contains" if column.kind == "string_list":
            return f"{parameters.add(value, 'text')} = ANY({expression})"
        case "contains":
            return f"{expression} ILIKE {parameters.add(f'%{_literal(value)}%', 'text')}"
        case "starts_with":
            return f"{expression} ILIKE {parameters.add(f'{_literal(value)}%', 'text')}"
        case _:
            return f"{expression} {_COMPARISONS[condition.op]} {parameters.add(value, sql_type)}"


def _check(column: Column, condition: Condition) -> None:
    op, value = condition.op, condition.value
    if op == "is_null":
        if not isinstance(value, bool):
            raise refused(condition, "is_null takes true or false")
    elif op in ("in", "not_in"):
        values = _listed(value)
        if len(values) > MAX_VALUES:
            raise refused(condition, f"{op} takes at most {MAX_VALUES} values")
        if not all(fits(column.kind, item) for item in values):
            raise refused(condition, f"not every value is a {column.kind}")
    elif not fits(column.kind, value):
        raise refused(condition, f"the value is not a {column.kind}")


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _literal(value: object) -> str:
    """Text in which ILIKE sees no wildcard."""
    return str(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def refused(condition: Condition, reason: str) -> Invalid:
    """What to raise for a condition that its column does not take."""
    head, *rest = condition.field.split("_")
    field = f"filter.{head}{''.join(part.title() for part in rest)}"  # as the caller spells it
    return Invalid(f"{field}: {reason}", field=field, code="INVALID_FILTER")
