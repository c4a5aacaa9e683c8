from collections.abc import Sequence
from typing import Any

import asyncpg

from app.infra.listing.columns import SQL_TYPE, Listing
from app.infra.listing.conditions import Parameters, search_where, where_sql
from app.infra.listing.cursors import Cursors, Key, decode, order_keys, signature
from app.infra.postgres import reading
from app.kernel.errors import Invalid
from app.kernel.listing import MAX_ORDER_KEYS, Page, PageRequest, both
from app.kernel.scope import Scope


async def page(scope: Scope, listing: Listing, request: PageRequest) -> Page[asyncpg.Record]:
    """One page of the rows in `scope`, in one statement; two when the total is asked for.

    Raises: Invalid (INVALID_PAGE, INVALID_CURSOR, INVALID_FILTER, FILTER_TOO_LARGE,
    INVALID_ORDER, INVALID_SEARCH).
    """
    size, backwards = request.span()
    if len(request.order) > MAX_ORDER_KEYS:
        raise Invalid(
            f"orderBy: at most {MAX_ORDER_KEYS} keys, got {len(request.order)}",
            field="orderBy",
            code="INVALID_ORDER",
        )
    keys = order_keys(listing, request.order)
    statement, values = _statement(
        scope, listing, request, keys=keys, limit=size + 1, backwards=backwards
    )
    async with reading(scope) as connection:
        found = await connection.fetch(statement, *values) if size else []
        total = None
        if request.with_total:
            sql, values = _count(scope, listing, request)
            total = await connection.fetchval(sql, *values)
    more = len(found) > size
    rows = found[:size]
    if backwards:
        rows.reverse()
    return Page(
        rows=rows,
        has_next=request.before is not None if backwards else more,
        has_previous=more if backwards else request.after is not None,
        total=total,
        cursors=_cursors(listing, keys, rows),
    )


def _filtered(scope: Scope, listing: Listing, request: PageRequest) -> tuple[list[str], Parameters]:
    """The predicates that every row of the list meets, whichever the page."""
    parameters = Parameters(scope.tenant_id)
    predicates = ["tenant_id = $1"]
    if listing.environment:
        predicates.append(f"environment_id = {parameters.add(scope.environment_id, 'text')}")
    where = request.where
    if request.search is not None:
        where = both(where, search_where(listing, request.search))
    if where is not None:
        predicates.append(f"({where_sql(listing, where, parameters)})")
    return predicates, parameters


def _statement(
    scope: Scope,
    listing: Listing,
    request: PageRequest,
    *,
    keys: Sequence[Key],
    limit: int,
    backwards: bool,
) -> tuple[str, list[Any]]:
    predicates, parameters = _filtered(scope, listing, request)
    directed = [(column, down != backwards) for column, down in keys]
    cursor, field = (request.before, "before") if backwards else (request.after, "after")
    if cursor is not None:
        at = decode(listing, keys, cursor, field)
        predicates.append(_beyond(directed, at, parameters))
    extra = "".join(
        f', ({column.sql}) AS "{_alias(index)}"'
        for index, (column, _) in enumerate(keys)
        if column.sql is not None
    )
    order = ", ".join(f"{c.expression} {'DESC' if down else 'ASC'}" for c, down in directed)
    sql = (
        f"SELECT {listing.select}{extra} FROM {listing.table} "  # noqa: S608 - names are ours
        f"WHERE {' AND '.join(predicates)} ORDER BY {order} LIMIT {parameters.add(limit, 'int')}"
    )
    return sql, parameters.values


def _count(scope: Scope, listing: Listing, request: PageRequest) -> tuple[str, list[Any]]:
    predicates, parameters = _filtered(scope, listing, request)
    sql = f"SELECT count(*) FROM {listing.table} WHERE {' AND '.join(predicates)}"  # noqa: S608
    return sql, parameters.values


def _beyond(keys: Sequence[Key], at: Sequence[Any], parameters: Parameters) -> str:
    """The rows that come after the row at which the keys have the values `at`."""
    places = [
        None if value is None else parameters.add(value, SQL_TYPE[column.kind])
        for (column, _), value in zip(keys, at, strict=True)
    ]
    if len({down for _, down in keys}) == 1 and not any(c.nullable for c, _ in keys):
        # A row comparison is one range of an index; the nested form below is not.
        left = ", ".join(column.expression for column, _ in keys)
        right = ", ".join(place for place in places if place)
        return f"({left}) {'<' if keys[0][1] else '>'} ({right})"
    predicate = "FALSE"
    for (column, down), place in reversed(list(zip(keys, places, strict=True))):
        strictly, same = _step(column.expression, place, down=down, nullable=column.nullable)
        predicate = f"({strictly} OR ({same} AND {predicate}))"
    return predicate


def _step(expression: str, place: str | None, *, down: bool, nullable: bool) -> tuple[str, str]:
    """Predicates for "after this key's value" and "same value". Null is above every value."""
    if place is None:
        return (f"{expression} IS NOT NULL" if down else "FALSE"), f"{expression} IS NULL"
    above = f"{expression} > {place}"
    if nullable:
        above = f"({above} OR {expression} IS NULL)"
    return (f"{expression} < {place}" if down else above), f"{expression} = {place}"


def _alias(index: int) -> str:
    return f"order_key_{index}"


def _cursors(listing: Listing, keys: Sequence[Key], rows: Sequence[asyncpg.Record]) -> Cursors:
    names = [_alias(i) if c.sql is not None else c.field for i, (c, _) in enumerate(keys)]
    return Cursors(signature(listing, keys), [[row[name] for name in names] for row in rows])
