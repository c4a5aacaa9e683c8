"""The audit log. An environment has one, and the tenant as a whole has one (`whole`)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import json_of, the
from app.kernel.scope import Scope
from app.tenants.tenant import whole

LISTING = Listing(
    table="audit_entries",
    columns=(
        Column("id", "id", sortable=True),
        Column("at", "datetime", sortable=True),
        Column("actor_kind", "enum"),
        Column("actor_id", "id"),
        Column("request_id", "id"),
        Column("action", "string"),
        Column("entity_id", "id"),
    ),
    default_order=(Order("at", descending=True),),
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what. `before` and `after` hold only what differs when both are there."""

    id: str
    at: datetime
    actor_kind: str
    actor_id: str
    request_id: str | None
    action: str
    entity_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


async def page(scope: Scope, request: PageRequest) -> Page[AuditEntry]:
    """The log of the scope's environment; of the tenant as a whole in the scope `whole(…)`."""
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, AuditEntry]:
    """The log's entries with these ids; absent ids are absent from the result."""
    rows = await fetch(
        scope,
        "SELECT * FROM audit_entries WHERE tenant_id = $1 AND environment_id = $2 AND id = ANY($3)",
        scope.tenant_id,
        scope.environment_id,
        list(ids),
    )
    return {row["id"]: row_of(row) for row in rows}


async def by_ids_in_both(scope: Scope, ids: Collection[str]) -> dict[str, AuditEntry]:
    """`by_ids` in the log of the scope's environment and in that of the tenant as a whole."""
    found = await by_ids(scope, ids)
    return found | await by_ids(whole(scope.tenant_id), ids)


async def get(scope: Scope, entry_id: str) -> AuditEntry:
    """Raises: NotFound."""
    return the(await by_ids(scope, [entry_id]), "audit entry", entry_id)


def row_of(record: asyncpg.Record) -> AuditEntry:
    return AuditEntry(
        id=record["id"],
        at=record["at"],
        actor_kind=record["actor_kind"],
        actor_id=record["actor_id"],
        request_id=record["request_id"],
        action=record["action"],
        entity_id=record["entity_id"],
        before=json_of(record["before"]),
        after=json_of(record["after"]),
    )
