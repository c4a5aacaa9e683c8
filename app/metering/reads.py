"""Queries about meters. Every one takes the scope first and finds nothing outside it."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch, system
from app.infra.rows import ARCHIVABLE_STATUS, having, json_of, the
from app.kernel.scope import Scope
from app.metering.documents import aggregation_of, filters_of
from app.metering.meter import Meter, MeterStatus

LISTING = Listing(
    table="meters",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("description", "string", nullable=True),
        Column("event_name", "string", sortable=True),
        Column("aggregation", "enum", sql="(aggregation->>'kind')"),
        Column(
            "status",
            "enum",
            sql=ARCHIVABLE_STATUS,
        ),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name", "description", "event_name"),
)
_BY_EVENT_NAMES = (
    "SELECT meters.* FROM meters JOIN unnest($1::text[], $2::text[], $3::text[]) "
    "AS wanted(tenant_id, environment_id, event_name) "
    "USING (tenant_id, environment_id, event_name) ORDER BY meters.id"
)


async def page(scope: Scope, request: PageRequest) -> Page[Meter]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, Meter]:
    """The meters with these ids; absent ids are absent from the result."""
    rows = await having(scope, "meters", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def all_of(scope: Scope) -> list[Meter]:
    """Every meter of an environment, archived ones too."""
    rows = await fetch(
        scope,
        "SELECT * FROM meters WHERE tenant_id = $1 AND environment_id = $2 ORDER BY id",
        scope.tenant_id,
        scope.environment_id,
    )
    return [row_of(row) for row in rows]


async def get(scope: Scope, meter_id: str) -> Meter:
    """Raises: NotFound."""
    return the(await by_ids(scope, [meter_id]), "meter", meter_id)


async def by_event_names(wanted: Mapping[Scope, Collection[str]]) -> dict[Scope, list[Meter]]:
    """The meters that may count events of these names, archived ones too, across tenants.

    For the consumer, whose batches mix scopes. A scope without meters is absent.
    """
    triples = [
        (scope.tenant_id, scope.environment_id, name)
        for scope, names in wanted.items()
        for name in set(names)
    ]
    if not triples:
        return {}
    tenants, environments, names = (list(column) for column in zip(*triples, strict=True))
    async with system() as connection:
        rows = await connection.fetch(_BY_EVENT_NAMES, tenants, environments, names)
    found: dict[Scope, list[Meter]] = defaultdict(list)
    for row in rows:
        found[Scope(row["tenant_id"], row["environment_id"])].append(row_of(row))
    return dict(found)


def row_of(record: asyncpg.Record) -> Meter:
    return Meter(
        id=record["id"],
        name=record["name"],
        description=record["description"],
        event_name=record["event_name"],
        aggregation=aggregation_of(json_of(record["aggregation"])),
        filters=filters_of(json_of(record["filters"])),
        dimensions=tuple(json_of(record["dimensions"])),
        metadata=json_of(record["metadata"]),
        status=MeterStatus.ACTIVE if record["archived_at"] is None else MeterStatus.ARCHIVED,
        version=record["version"],
        backfilled_at=record["backfilled_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
