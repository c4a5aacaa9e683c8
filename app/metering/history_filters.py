"""Filters on stored events to SQL of ClickHouse; every value travels as a parameter."""

from datetime import datetime
from typing import Any

from app.infra.clickhouse_parameters import Places
from app.infra.listing import Column, Listing
from app.infra.listing.conditions import predicate, refused
from app.kernel.listing import MAX_VALUES, Condition, Operation, Where

_EQUALITY: frozenset[Operation] = frozenset({"eq", "ne", "in", "not_in"})
_RANGE: frozenset[Operation] = _EQUALITY | {"lt", "lte", "gt", "gte"}
_ALLOWED: dict[str, frozenset[Operation]] = {
    "string": _RANGE | {"contains", "starts_with", "is_null"},
    "enum": _EQUALITY | {"is_null"},
    "datetime": _RANGE | {"is_null"},
    "json": frozenset({"contains"}),
}
_COMPARISONS = {"eq": "=", "ne": "!=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def where_sql(listing: Listing, where: Where, places: Places) -> str:
    """The predicate of a filter. Raises: Invalid (INVALID_FILTER, FILTER_TOO_LARGE)."""

    def condition_sql(condition: Condition) -> str:
        return _condition(listing, condition, places)

    return predicate(where, condition_sql, negation="NOT ({})")


def _condition(listing: Listing, condition: Condition, places: Places) -> str:
    column = listing.by_name.get(condition.field)
    if column is None or column.kind not in _ALLOWED:
        raise refused(condition, f"{listing.table} cannot be filtered by it")
    if condition.op not in _ALLOWED[column.kind]:
        raise refused(condition, f"a {column.kind} of an event has no {condition.op}")
    name, value = column.expression, condition.value
    type_ = "DateTime64(6, 'UTC')" if column.kind == "datetime" else "String"
    match condition.op:
        case "is_null":  # no column of an event is
            if not isinstance(value, bool):
                raise refused(condition, "is_null takes true or false")
            return "0" if value else "1"
        case "contains" if column.kind == "json":
            return _properties(condition, places)
        case "in" | "not_in":
            listed = [_checked(column, condition, item) for item in _list(condition)]
            within = f"{name} IN {places.add(listed, f'Array({type_})')}"
            return within if condition.op == "in" else f"NOT {within}"
        case "contains":
            text = places.add(_checked(column, condition, value), "String")
            return f"positionCaseInsensitiveUTF8({name}, {text}) > 0"
        case "starts_with":
            text = places.add(_checked(column, condition, value), "String")
            return f"startsWith(lowerUTF8({name}), lowerUTF8({text}))"
        case op:
            return (
                f"{name} {_COMPARISONS[op]} {places.add(_checked(column, condition, value), type_)}"
            )


def _properties(condition: Condition, places: Places) -> str:
    """Every property named has the text given, numbers as they were sent."""
    value = condition.value
    if not isinstance(value, dict):
        raise refused(condition, "contains takes the text of each property")
    parts = []
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise refused(condition, "contains takes the text of each property")
        equal = f"fields[{places.add(name, 'String')}] = {places.add(text, 'String')}"
        parts.append(f"ifNull({equal}, 0)")
    return " AND ".join(parts) or "1"


def _checked(column: Column, condition: Condition, value: object) -> Any:
    right = datetime if column.kind == "datetime" else str
    if not isinstance(value, right) or (isinstance(value, datetime) and value.tzinfo is None):
        raise refused(condition, f"the value is not a {column.kind}")
    return value


def _list(condition: Condition) -> list[object]:
    value = condition.value
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if len(listed) > MAX_VALUES:
        raise refused(condition, f"{condition.op} takes at most {MAX_VALUES} values")
    return listed
