from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.infra.listing.columns import SQL_TYPE, Listing
from app.infra.listing.conditions import Parameters, search_where, where_sql
from app.infra.listing.cursors import Cursors, Key, decode, order_keys, signature
from app.infra.postgres import fetch, reading
from app.kernel.errors import Invalid
from app.kernel.listing import MAX_ORDER_KEYS, Page, PageRequest, Where, both
from app.kernel.scope import Scope

_PARENT = "listing_parent"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request against its list: how many rows, which way, in which order."""

    listing: Listing
    request: PageRequest
    size: int
    backwards: bool
    keys: Sequence[Key]


async def page(scope: Scope, listing: Listing, request: PageRequest) -> Page[asyncpg.Record]:
    """One page of the rows in `scope`, in one statement; two when the total is asked for.

    Raises: Invalid (INVALID_PAGE, INVALID_CURSOR, INVALID_FILTER, FILTER_TOO_LARGE,
    INVALID_ORDER, INVALID_SEARCH).
    """
    asked = _asked(listing, request)
    statement, values = _statement(scope, asked)
    async with reading(scope) as connection:
        found = await connection.fetch(statement, *values) if asked.size else []
        total = None
        if request.with_total:
            sql, values = _count(scope, listing, request)
            total = await connection.fetchval(sql, *values)
    return _page(asked, found, total)


async def pages_of(
    scope: Scope, listing: Listing, request: PageRequest, *, column: str, parents: Collection[str]
) -> dict[str, Page[asyncpg.Record]]:
    """One page for each of `parents`, of the rows whose `column` has its id.

    All of them in one statement; two when totals are asked for. Raises as `page` does.
    """
    asked, parents = _asked(listing, request), list(dict.fromkeys(parents))
    statement, values = _statements(scope, asked, column, parents)
    async with reading(scope) as connection:
        found = await connection.fetch(statement, *values) if asked.size else []
        totals = {}
        if request.with_total:
            sql, values = _counts(scope, asked, column, parents)
            totals = dict(await connection.fetch(sql, *values))
    rows: defaultdict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in found:
        rows[row[_PARENT]].append(row)
    total = 0 if request.with_total else None
    return {parent: _page(asked, rows[parent], totals.get(parent, total)) for parent in parents}


async def first(
    scope: Scope, listing: Listing, where: Where, *, columns: str, limit: int
) -> list[asyncpg.Record]:
    """The first `limit` rows of the filter, by id: `columns`, which are SQL of ours.

    Raises: Invalid (INVALID_FILTER, FILTER_TOO_LARGE).
    """
    predicates, parameters = _filtered(scope, listing, PageRequest(where=where))
    sql = (
        f"SELECT {columns} FROM {listing.table} "  # noqa: S608 - names are ours
        f"WHERE {' AND '.join(predicates)} ORDER BY id LIMIT {parameters.add(limit, 'int')}"
    )
    return await fetch(scope, sql, *parameters.values)


def _asked(listing: Listing, request: PageRequest) -> _Asked:
    size, backwards = request.span()
    if len(request.order) > MAX_ORDER_KEYS:
        raise Invalid(
            f"orderBy: at most {MAX_ORDER_KEYS} keys, got {len(request.order)}",
            field="orderBy",
            code="INVALID_ORDER",
        )
    return _Asked(listing, request, size, backwards, order_keys(listing, request.order))


def _page(
    asked: _Asked, found: Sequence[asyncpg.Record], total: int | None
) -> Page[asyncpg.Record]:
    """`found` in the order they were looked for, one more than asked where there are more."""
    request, backwards = asked.request, asked.backwards
    more = len(found) > asked.size
    rows = list(found[: asked.size])
    if backwards:
        rows.reverse()
    return Page(
        rows=rows,
        has_next=request.before is not None if backwards else more,
        has_previous=more if backwards else request.after is not None,
        total=total,
        cursors=_cursors(asked.listing, asked.keys, rows),
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


def _statement(scope: Scope, asked: _Asked, *also: str) -> tuple[str, list[Any]]:
    """The rows of a page, and one more. They meet the predicates `also`, which take no value."""
    listing, request, keys = asked.listing, asked.request, asked.keys
    predicates, parameters = _filtered(scope, listing, request)
    directed = [(column, down != asked.backwards) for column, down in keys]
    cursor, field = (request.before, "before") if asked.backwards else (request.after, "after")
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
        f"WHERE {' AND '.join([*predicates, *also])} "
        f"ORDER BY {order} LIMIT {parameters.add(asked.size + 1, 'int')}"
    )
    return sql, parameters.values


def _statements(
    scope: Scope, asked: _Asked, column: str, parents: list[str]
) -> tuple[str, list[Any]]:
    inner, values = _statement(scope, asked, f"{column} = {_PARENT}")
    directed = zip(_names(asked.keys), asked.keys, strict=True)
    order = ", ".join(
        f'found."{name}" {"DESC" if down != asked.backwards else "ASC"}'
        for name, (_, down) in directed
    )
    sql = (
        f"SELECT found.*, {_PARENT} "  # noqa: S608 - names are ours
        f"FROM unnest(${len(values) + 1}::text[]) AS {_PARENT}, LATERAL ({inner}) AS found "
        f"ORDER BY {_PARENT}, {order}"
    )
    return sql, [*values, parents]


def _count(scope: Scope, listing: Listing, request: PageRequest) -> tuple[str, list[Any]]:
    predicates, parameters = _filtered(scope, listing, request)
    sql = f"SELECT count(*) FROM {listing.table} WHERE {' AND '.join(predicates)}"  # noqa: S608
    return sql, parameters.values


def _counts(scope: Scope, asked: _Asked, column: str, parents: list[str]) -> tuple[str, list[Any]]:
    predicates, parameters = _filtered(scope, asked.listing, asked.request)
    predicates.append(f"{column} = ANY({parameters.add(parents, 'text[]')})")
    sql = (
        f"SELECT {column}, count(*) FROM {asked.listing.table} "  # noqa: S608 - names are ours
        f"WHERE {' AND '.join(predicates)} GROUP BY {column}"
    )
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


def _names(keys: Sequence[Key]) -> list[str]:
    """What a row calls the values of the keys."""
    return [_alias(i) if c.sql is not None else c.field for i, (c, _) in enumerate(keys)]


def _cursors(listing: Listing, keys: Sequence[Key], rows: Sequence[asyncpg.Record]) -> Cursors:
    names = _names(keys)
    return Cursors(signature(listing, keys), [[row[name] for name in names] for row in rows])
