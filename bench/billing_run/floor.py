"""What a billing run asks of the servers, asked by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import asyncpg
import orjson
from yarl import URL

from app.config import Settings
from app.infra.clickhouse import ClickHouse

# Without triggers and row-level security, which are ours.
_TABLES = ("invoices", "invoice_lines")


@dataclass(frozen=True)
class Heard:
    """A question to ClickHouse: what its address carries, and its body."""

    query: Mapping[str, str]
    body: bytes


class Listening(ClickHouse):
    """A ClickHouse that remembers what it was asked."""

    def __init__(self, around: ClickHouse) -> None:
        vars(self).update(vars(around))
        self.heard: list[Heard] = []

    async def _post(
        self,
        operation: str,
        query: Mapping[str, str],
        data: Any,
        *,
        seconds: float | None = None,
    ) -> bytes:
        if operation == "select":
            self.heard.append(Heard(query, data))
        return await super()._post(operation, query, data, seconds=seconds)


class Floor:
    """Connections by hand; see the package."""

    def __init__(
        self, connection: asyncpg.Connection, session: aiohttp.ClientSession, settings: Settings
    ) -> None:
        self._connection, self._session = connection, session
        self._address = settings.clickhouse.url.rstrip("/") + "/?"
        self._query = {
            "database": settings.clickhouse.database,
            "user": settings.clickhouse.user,
            "password": settings.clickhouse.password,
            "wait_end_of_query": "1",
            "do_not_merge_across_partitions_select_final": "1",
        }
        self._seen: set[str] = set()

    @property
    def copied(self) -> int:
        """How many invoices there were."""
        return len(self._seen)

    async def query(self, heard: Sequence[Heard]) -> None:
        await asyncio.gather(*(self._ask(each) for each in heard))

    async def _ask(self, heard: Heard) -> None:
        address = URL(
            self._address + urlencode({**self._query, **heard.query}, safe=",:()'"), encoded=True
        )
        async with self._session.post(address, data=heard.body) as answer:
            assert answer.status == 200, await answer.text()
            orjson.loads(await answer.read())

    async def fresh_rows(self) -> dict[str, list[asyncpg.Record]]:
        """What was issued since the last time, by table."""
        found = await self._connection.fetch(
            "SELECT * FROM invoices WHERE status = 'finalized' AND id <> ALL($1)",
            list(self._seen),
        )
        ids = [row["id"] for row in found]
        self._seen.update(ids)
        lines = await self._connection.fetch(
            "SELECT * FROM invoice_lines WHERE invoice_id = ANY($1)", ids
        )
        return {"invoices": found, "invoice_lines": lines}

    async def copy(self, rows: Mapping[str, Sequence[asyncpg.Record]]) -> None:
        async with self._connection.transaction():
            for table, records in rows.items():
                if records:
                    await self._connection.copy_records_to_table(
                        f"floor_{table}", records=records, columns=list(records[0].keys())
                    )


@asynccontextmanager
async def open_floor(settings: Settings) -> AsyncIterator[Floor]:
    owner = await asyncpg.connect(settings.postgres.owner_url or settings.postgres.url)
    try:
        await owner.execute("SET tariff.system = 'on'")
        # What was filled at one stroke has no statistics yet, which autovacuum would see to.
        await owner.execute("ANALYZE")
        for table in _TABLES:
            await owner.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)")
        async with aiohttp.ClientSession() as session:
            yield Floor(owner, session, settings)
    finally:
        await owner.close()
