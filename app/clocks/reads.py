"""Queries. Those that take a scope find nothing outside it; the others serve all tenants."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.clocks.errors import GovernsEnvironment
from app.clocks.test_clock import ClockStatus, Governs, TestClock
from app.infra import due, listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch, system
from app.infra.rows import having, the
from app.kernel.scope import Scope
from app.tenants.errors import Archived

LISTING = Listing(
    table="test_clocks",
    columns=(
        Column("id", "id", sortable=True),
        Column("name", "string", sortable=True),
        Column("governs", "enum"),
        Column(
            "status", "enum", sql="(CASE WHEN archived_at IS NULL THEN state ELSE 'archived' END)"
        ),
        Column("frozen_at", "datetime", sortable=True),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("name",),
)
_OF_ENVIRONMENT = (
    "SELECT * FROM test_clocks "
    "WHERE tenant_id = $1 AND environment_id = $2 AND governs = 'environment'"
)
_PRESENTS = (
    "SELECT environment_id, "
    "min(frozen_at) FILTER (WHERE governs = 'environment') AS present, "
    "min(frozen_at) FILTER (WHERE governs = 'customers' AND archived_at IS NULL) AS earliest, "
    "max(coalesce(advancing_to, frozen_at)) "
    "FILTER (WHERE governs = 'customers' AND archived_at IS NULL) AS latest "
    "FROM test_clocks GROUP BY environment_id"
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A clock and the environment it is in, for what looks across tenants."""

    scope: Scope
    clock: TestClock


@dataclass(frozen=True, slots=True)
class Presents:
    """The presents that clocks give an environment.

    `present`: of the environment, where it lives on a clock. `earliest` and `latest`: of its
    customers on clocks, a clock that advances being taken to have arrived.
    """

    present: datetime | None
    earliest: datetime | None
    latest: datetime | None


async def page(scope: Scope, request: PageRequest) -> Page[TestClock]:
    return (await listing.page(scope, LISTING, request)).map(row_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, TestClock]:
    """The clocks with these ids; absent ids are absent from the result."""
    rows = await having(scope, "test_clocks", "id", ids)
    return {row["id"]: row_of(row) for row in rows}


async def get(scope: Scope, clock_id: str) -> TestClock:
    """Raises: NotFound."""
    return the(await by_ids(scope, [clock_id]), "test clock", clock_id)


async def open_to_customers(scope: Scope, clock_id: str, *, field: str) -> TestClock:
    """A clock that customers can be put on. Raises: NotFound, Archived, GovernsEnvironment."""
    clock = the(await by_ids(scope, [clock_id]), "test clock", clock_id, field=field)
    if clock.governs is Governs.ENVIRONMENT:
        raise GovernsEnvironment(clock_id, field=field)
    if clock.status is ClockStatus.ARCHIVED:
        raise Archived("test clock", clock_id)
    return clock


async def of_environment(scope: Scope) -> TestClock | None:
    """The clock that the environment as a whole lives on, archived or not."""
    rows = await fetch(scope, _OF_ENVIRONMENT, scope.tenant_id, scope.environment_id)
    return row_of(rows[0]) if rows else None


async def of_customers(scope: Scope, customer_ids: Collection[str]) -> dict[str, TestClock]:
    """The clocks of those customers who live on one of their own, by the customers' ids."""
    lives = await due.clocks_of(scope, customer_ids)
    clocks = await by_ids(scope, set(lives.values())) if lives else {}
    return {customer_id: clocks[clock_id] for customer_id, clock_id in lives.items()}


async def presents() -> dict[str, Presents]:
    """What clocks make of the present, by environment; those without a clock are absent."""
    async with system() as connection:
        rows = await connection.fetch(_PRESENTS)
    return {
        row["environment_id"]: Presents(row["present"], row["earliest"], row["latest"])
        for row in rows
    }


async def environments_on_clocks() -> list[str]:
    """The ids of the environments that live on a clock as a whole, across tenants."""
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT environment_id FROM test_clocks WHERE governs = 'environment'"
        )
    return [row["environment_id"] for row in rows]


async def in_state(*states: ClockStatus) -> list[Placed]:
    """The clocks in any of the states, across tenants, by id."""
    async with system() as connection:
        rows = await connection.fetch(
            "SELECT * FROM test_clocks WHERE state = ANY($1) AND archived_at IS NULL ORDER BY id",
            [state.value for state in states],
        )
    return [Placed(Scope(row["tenant_id"], row["environment_id"]), row_of(row)) for row in rows]


def row_of(record: asyncpg.Record) -> TestClock:
    archived = record["archived_at"] is not None
    return TestClock(
        id=record["id"],
        name=record["name"],
        governs=Governs(record["governs"]),
        frozen_at=record["frozen_at"],
        status=ClockStatus.ARCHIVED if archived else ClockStatus(record["state"]),
        advancing_to=record["advancing_to"],
        failure=record["failure"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        archived_at=record["archived_at"],
    )
