"""A list over GraphQL: 100 customers × 10 fields over HTTP, from PostgreSQL.

The floor is what one would write by hand for this list alone: Starlette, asyncpg and orjson in
the same server process, behind the same key check and the same row-level security. Both are
asked in turn, a slice of a second each, so that whatever else the machine does hits both; what
counts is the server's CPU time per request, the least of all slices.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import msgspec
import orjson
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.config import Settings
from app.customers import actions as customers
from app.customers.customer import CreateCustomer
from app.graphql.endpoint import routes
from app.graphql.service import Service, open_service
from app.infra.postgres import fetch, postgres
from app.kernel.clock import SystemClock
from app.kernel.scope import SYSTEM, Scope
from app.runtime import Runtime
from app.tenants.actions import api_keys, tenants
from app.tenants.authentication import open_authenticator
from app.tenants.commands import CreateApiKey, CreateTenant

NAME = "graphql_list"
ROWS = 100
SLICES = 7
SLICE_SECONDS = 1.0
CONNECTIONS = 8
QUERY = """query List($first: Int!) {
  customers(first: $first) {
    nodes { id externalId name email timezone currency status createdAt updatedAt archivedAt }
  }
}"""
SQL = """SELECT id, external_id, name, email, timezone, currency, created_at, updated_at,
  archived_at
FROM customers WHERE tenant_id = $1 AND environment_id = $2
ORDER BY created_at DESC, id DESC LIMIT 100"""


@dataclass(frozen=True)
class Measured:
    """CPU milliseconds of the server per request, and requests per second of all connections."""

    graphql_cpu_ms: float
    floor_cpu_ms: float
    graphql_per_second: float
    floor_per_second: float

    @property
    def ratio(self) -> float:
        return self.graphql_cpu_ms / self.floor_cpu_ms


async def measure(settings: Settings) -> Measured:
    """Run the benchmark on migrated databases; needs PostgreSQL and Kafka alone."""
    async with postgres(settings.postgres):
        key = await _filled()
    async with _server(settings) as port:
        body = orjson.dumps({"query": QUERY, "variables": {"first": ROWS}})
        graphql = _request("POST", "/graphql", key, body)
        floor = _request("GET", "/floor", key)
        await _compare(port, graphql, floor)
        cpu: dict[bytes, list[float]] = {graphql: [], floor: []}
        rate: dict[bytes, list[float]] = {graphql: [], floor: []}
        for _ in range(SLICES):
            for request in (graphql, floor):
                spent, done, seconds = await _slice(port, request)
                cpu[request].append(spent / done * 1000)
                rate[request].append(done / seconds)
        return Measured(
            min(cpu[graphql]), min(cpu[floor]), median(rate[graphql]), median(rate[floor])
        )


async def _filled() -> str:
    """A new tenant with 100 customers; a key of it."""
    clock = SystemClock()
    made = await tenants.create(CreateTenant(name="Bench"), by=SYSTEM, at=clock.now())
    scope = Scope(made.tenant.id, made.production.id)
    for number in range(ROWS):
        command = CreateCustomer(
            external_id=f"customer-{number:03}",
            name=f"Customer {number}",
            email=f"customer{number}@example.com",
            currency="USD",
        )
        await customers.create(scope, command, by=SYSTEM, at=clock.now())
    command = CreateApiKey(name="bench", permissions=("customer:read",))
    holding = frozenset(command.permissions)
    key = await api_keys.create(scope, command, holding=holding, by=SYSTEM, at=clock.now())
    return str(key.secret.text)


@asynccontextmanager
async def _server(settings: Settings) -> AsyncIterator[int]:
    """A process of its own with both endpoints; its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.graphql_list"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(settings) + b"\n")
        async with asyncio.timeout(30):
            yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        process.terminate()
        await process.wait()


async def _compare(port: int, graphql: bytes, floor: bytes) -> None:
    """Both must say the same, or the ratio means nothing. Warms both up, too."""
    async with _connection(port) as (reader, writer):
        for _ in range(50):
            ours, theirs = [orjson.loads(await _ask(reader, writer, r)) for r in (graphql, floor)]
    assert len(ours["data"]["customers"]["nodes"]) == ROWS
    assert ours == theirs


async def _slice(port: int, request: bytes) -> tuple[float, int, float]:
    """CPU seconds, requests and seconds of one slice."""
    cpu = _request("GET", "/cpu", "")
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(_connection(port)) for _ in range(CONNECTIONS)
        ]
        before = float(await _ask(*connections[0], cpu))
        started = time.perf_counter()
        until = started + SLICE_SECONDS
        counts = await asyncio.gather(*(_repeat(c, request, until) for c in connections))
        seconds = time.perf_counter() - started
        return float(await _ask(*connections[0], cpu)) - before, sum(counts), seconds


async def _repeat(connection: tuple[Any, Any], request: bytes, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        await _ask(*connection, request)
        count += 1
    return count


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[Any, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


def _request(method: str, path: str, key: str, body: bytes = b"") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: bench\r\nx-api-key: {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _serve() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    clock, absent = SystemClock(), None
    runtime: Any = Runtime(settings, clock, absent, absent, absent, absent)  # type: ignore[arg-type]
    async with (
        postgres(settings.postgres),
        open_authenticator(settings, clock) as authenticator,
        open_service(runtime, authenticator) as service,
    ):
        app = Starlette(routes=[*routes(service), *_by_hand(service)])
        config = uvicorn.Config(
            app, port=0, loop="none", http="httptools", lifespan="off", log_config=None,
            access_log=False,
        )  # fmt: skip
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn sets a plain attribute
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await serving


def _by_hand(service: Service) -> list[Route]:
    async def floor(request: Request) -> Response:
        visit = await service.visit(request.headers, "bench")
        assert visit.caller is not None
        scope = visit.caller.environment_scope
        rows = await fetch(scope, SQL, scope.tenant_id, scope.environment_id)
        nodes = [
            {
                "id": row["id"],
                "externalId": row["external_id"],
                "name": row["name"],
                "email": row["email"],
                "timezone": row["timezone"],
                "currency": row["currency"],
                "status": "ACTIVE" if row["archived_at"] is None else "ARCHIVED",
                "createdAt": row["created_at"],
                "updatedAt": row["updated_at"],
                "archivedAt": row["archived_at"],
            }
            for row in rows
        ]
        body = orjson.dumps({"data": {"customers": {"nodes": nodes}}}, option=orjson.OPT_UTC_Z)
        return Response(body, media_type="application/json")

    async def cpu(_request: Request) -> Response:
        return Response(repr(time.process_time()))

    return [Route("/floor", floor), Route("/cpu", cpu)]


if __name__ == "__main__":
    uvloop.run(_serve())
