"""Nobody sees, changes or even recognizes what belongs to another tenant or environment.

The requests come out of the schema: a stranger asks every root field for everything that the
victim has, and for what nobody has. The two answers must be the same to the letter. So that
this means something, the same request about the stranger's own must be answered differently.

The tests stand in an order: the last ones leave the victim's names in what the stranger has.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from graphql import get_named_type, is_composite_type

from app.cli import keys
from app.config import Settings
from app.graphql.permissions import Policy
from app.graphql.schema import KINDS, schema
from app.infra.clickhouse import ClickHouse
from app.infra.kafka import open_producer
from app.infra.postgres import system
from app.kernel.clock import SystemClock
from app.kernel.ids import prefix_of
from app.modes import api
from app.rest import downloads, events
from tests.e2e.places import Answer, Caller, calling, settle
from tests.e2e.rest_cases import CASES, WITHOUT_IDS, Case
from tests.e2e.services import Services
from tests.e2e.stranger import (
    CANARY,
    OPERATORS,
    VICTIM,
    Stranger,
    anonymous,
    difference,
    nobodys,
    without_noise,
)
from tests.e2e.walk import Question, Unknown, Walk
from tests.graphql.conftest import make_runtime
from tests.processes import Processes, nothing_left

CORE = schema._schema
NODE = CORE.type_map["Node"]
STRANGER, SIBLING = "Quito", "Malaga"
# No root field asks for this one, and a key needs at least one.
USELESS = "billing:read"
# What any key may ask, without a permission.
OPEN = {"me", "permissions", "builtInRoles"}
# What belongs to the tenant as a whole is no secret to its other environments.
TENANT_WIDE = ("tenant", "environment", "user", "serviceAccount", "role")
TENANT_WIDE_PREFIXES = {"ten", "env", "usr", "sva", "rol"}
TEACH = "teach tests/e2e/rest_cases.py about the routes that differ"


@dataclass(frozen=True)
class Places:
    """Three callers who may do everything, each in an environment with one of everything.

    They are development environments, which alone have test clocks.
    The sibling's environment is the victim's tenant's. Worlds are by the name of their owner.
    """

    url: str
    victim: Caller
    stranger: Caller
    sibling: Caller
    worlds: Mapping[str, dict[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url(topics: Settings, tmp_path_factory: Any) -> AsyncIterator[str]:
    """Where the API is, with a consumer and a worker behind it."""
    processes = Processes(topics, tmp_path_factory.mktemp("isolation"))
    services = Services(processes)
    await nothing_left(topics)
    try:
        await services.start()
        yield services.url
        await services.stop()
    finally:
        await processes.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def places(url: str, topics: Settings, database: Settings) -> AsyncIterator[Places]:
    clock = SystemClock()
    issued = {
        "victim": await keys.create(clock, tenant=VICTIM, environment="Development"),
        "sibling": await keys.create(clock, tenant=VICTIM, environment="Staging"),
        "stranger": await keys.create(clock, tenant=STRANGER, environment="Development"),
    }
    words = {"victim": VICTIM, "sibling": SIBLING, "stranger": STRANGER}
    async with AsyncExitStack() as stack:
        callers = {
            who: await stack.enter_async_context(calling(url, key)) for who, key in issued.items()
        }
        made = await asyncio.gather(*(settle(callers[who], words[who]) for who in words))
        for who, world in zip(words, made, strict=True):
            world["letter"] = await _buried(topics, callers[who], world)
        await _nothing_due()
        yield Places(url, **callers, worlds=dict(zip(words.values(), made, strict=True)))


async def _nothing_due() -> None:
    """Until the worker has done what making the worlds has left to do."""
    async with asyncio.timeout(60), system() as connection:
        due = "SELECT count(*) FROM due_items WHERE due_at <= now()"
        while await connection.fetchval(due):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_without_a_permission_no_root_field_answers(places: Places) -> None:
    own, answers = places.worlds[VICTIM], {}
    async with calling(places.url, await _key_with(places.victim, USELESS)) as caller:
        for root in ("query", "mutation", "subscription"):
            for question in _questions(root, own):
                value = own["customer"] if question.name.startswith("node") else None
                answers[question.name] = _codes(await _asked(caller, question, value))
    operators = {name for name, codes in answers.items() if codes == {"SYSTEM_KEY_REQUIRED"}}
    assert operators == OPERATORS
    assert {name for name, codes in answers.items() if not codes} == OPEN
    denied = {name for name, codes in answers.items() if codes == {"FORBIDDEN"}}
    assert answers.keys() - operators - OPEN - denied == set()


async def test_a_field_that_leads_elsewhere_asks_for_the_permission_of_there(
    places: Places,
) -> None:
    """Such as a plan's prices: whoever may read the one may not therefore read the other."""
    own, leading = places.worlds[VICTIM], _leading()
    assert ("Plan", "prices") in leading
    read = {kind.prefix: kind.permission for kind in KINDS}
    for parent, name in leading:
        thing = own[parent[0].lower() + parent[1:]]
        key = await _key_with(places.victim, read[str(prefix_of(thing))])
        field = CORE.type_map[parent].fields[name]
        part = "{ __typename }" if is_composite_type(get_named_type(field.type)) else ""
        wanted = f"id ... on {parent} {{ {name} {part} }}"
        async with calling(places.url, key) as caller:
            answer = await caller.ask(
                f"query ($id: ID!) {{ node(id: $id) {{ id {wanted} }} }}", id=thing
            )
        assert _codes(answer) == {"FORBIDDEN"}, f"{parent}.{name}: {answer}"
        assert answer["errors"][0]["path"] == ["node", name]


async def test_without_a_permission_no_route_answers(places: Places) -> None:
    async with calling(places.url, await _key_with(places.victim, USELESS)) as caller:
        for (method, path), cases in CASES.items():
            for case in cases:
                answer = await _called(caller, method, case, places.worlds[VICTIM])
                assert (answer.status, answer.body["code"]) == (403, "FORBIDDEN"), path


async def test_every_route_is_asked(topics: Settings) -> None:
    runtime = make_runtime(topics, SystemClock())
    nobody: Any = None
    graph: Any = SimpleNamespace(runtime=runtime)
    served = api.routes(runtime, nobody, graph, mode="api")
    found = {str(getattr(route, "path", route)) for route in served}
    assert found == {path for _, path in CASES} | WITHOUT_IDS, TEACH
    assert set(CASES) == {*events.POLICIES, *downloads.POLICIES}, TEACH


async def test_another_environment_of_the_tenant_is_as_strange(
    places: Places, clickhouse: ClickHouse
) -> None:
    before = await _everything_of(places, clickhouse)
    sibling = Stranger(places.sibling, places.worlds[SIBLING], places.worlds[VICTIM])
    sibling.shared = TENANT_WIDE_PREFIXES
    for root in ("query", "subscription", "mutation"):
        for question in _questions(root, sibling.own):
            if not question.claims and not question.name.startswith(TENANT_WIDE):
                await sibling.probe(question, canary=False)
    assert not sibling.found, "\n".join(sibling.found)
    assert _changed(before, await _everything_of(places, clickhouse)) == []


async def test_a_stranger_cannot_tell_what_exists_from_what_does_not(
    places: Places, clickhouse: ClickHouse
) -> None:
    before = await _everything_of(places, clickhouse)
    stranger = Stranger(places.stranger, places.worlds[STRANGER], places.worlds[VICTIM])
    reading = _questions("query", stranger.own) + _questions("subscription", stranger.own)
    writing = _questions("mutation", stranger.own)
    for question in reading:
        await stranger.probe(question, canary=True)
        await stranger.control(question)
    # Then what looks something up, and then what takes a name for itself.
    for question in [each for each in writing if not each.claims]:
        await stranger.probe(question, canary=True)
    for question in [each for each in writing if each.claims]:
        await stranger.probe(question, canary=False)
    assert not stranger.found, "\n".join(stranger.found)
    assert _changed(before, await _everything_of(places, clickhouse)) == []
    # Last, and backwards, because this changes and archives what the stranger has.
    for question in reversed(writing):
        await stranger.control(question)
    assert not stranger.found, "\n".join(stranger.found)
    assert _changed(before, await _everything_of(places, clickhouse)) == []


async def test_no_route_tells_a_stranger_what_exists(
    places: Places, clickhouse: ClickHouse
) -> None:
    before = await _everything_of(places, clickhouse)
    victim, own = places.worlds[VICTIM], places.worlds[STRANGER]
    nobody = {what: nobodys(value, len(what)) for what, value in victim.items()}
    for (method, path), cases in CASES.items():
        for case in cases:
            theirs, unknown, mine = [
                _told(await _called(places.stranger, method, case, world), world)
                for world in (victim, nobody, own)
            ]
            assert theirs == unknown, f"{method} {path}: {difference(theirs, unknown)}"
            assert not CANARY.search(theirs), f"{method} {path}: {theirs}"
            assert (mine != unknown) == case.finds, f"{method} {path}: {mine}"
    assert _changed(before, await _everything_of(places, clickhouse)) == []


def _questions(root: str, own: Mapping[str, str]) -> list[Question]:
    try:
        return list(Walk(CORE, {**own, "node": "any"}).questions(root))
    except Unknown as unknown:
        pytest.fail(str(unknown))


async def _asked(caller: Caller, question: Question, value: str | None) -> dict[str, Any]:
    ask = caller.follow if question.root == "subscription" else caller.ask
    given = dict(question.variables) if value is None else question.asking(value, fresh="x")
    return await ask(question.document, **given)


def _codes(answer: Mapping[str, Any]) -> set[str]:
    """The codes of the errors in an answer, or in a subscription's message."""
    errors = answer["payload"] if answer.get("type") == "error" else answer.get("errors", [])
    return {error["extensions"]["code"] for error in errors}


def _leading() -> list[tuple[str, str]]:
    """The fields of things with an id, that have a policy of their own."""
    found = []
    for parent, kind in CORE.type_map.items():
        if NODE not in getattr(kind, "interfaces", ()):
            continue
        for name, definition in getattr(kind, "fields", {}).items():
            made = definition.extensions.get("strawberry-definition")
            policies = [e for e in getattr(made, "extensions", []) if isinstance(e, Policy)]
            if policies:
                found.append((parent, name))
    return found


async def _called(caller: Caller, method: str, case: Case, world: Mapping[str, str]) -> Answer:
    return await caller.rest(method, case.path(world), **case.options(world))


def _told(answer: Answer, world: Mapping[str, str]) -> str:
    """The answer without what differs from one request to the next, and what it was asked by."""
    shown = answer.body[:4].decode() if isinstance(answer.body, bytes) else answer.body
    text = json.dumps([answer.status, without_noise(shown)])
    for what, value in sorted(world.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(value, f"<{what}>")
    return anonymous(text)


async def _key_with(caller: Caller, permission: str) -> str:
    made = await caller.do(
        "apiKeyCreate", "NewApiKey", "secret", name=permission, permissions=[permission]
    )
    return str(made["secret"])


async def _buried(settings: Settings, caller: Caller, world: Mapping[str, str]) -> str:
    """The id of a message that could not be handled, told as a consumer tells it."""
    said = {
        "tenant_id": world["tenant"],
        "environment_id": world["home"],
        "reason": "NOT_AN_EVENT",
        "error": world["name"],
        "source_topic": "events",
        "source_partition": "0",
        "source_offset": "1",
    }
    headers = [(name, text.encode()) for name, text in said.items()]
    async with open_producer(settings.kafka) as producer:
        await producer.send("events_dlq", world["name"].encode(), headers=headers)
    async with asyncio.timeout(30):
        while True:
            answer = await caller.rest("GET", "/v1/events/dead_letters")
            if letters := answer.body["dead_letters"]:
                return str(letters[0]["id"])
            await asyncio.sleep(0.1)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any]]:
    """The rows that only one of them has, by table."""
    return [
        (name, row)
        for name in sorted({*before, *after})
        for one, other in ((before, after), (after, before))
        for row in one.get(name, ())
        if row not in other.get(name, ())
    ]


async def _everything_of(places: Places, clickhouse: ClickHouse) -> dict[str, Any]:
    """Every row of the victim's tenant in every table, but for the sibling's environment; and
    how many the event store has."""
    tenant, sibling = places.worlds[VICTIM]["tenant"], places.worlds[SIBLING]["home"]
    found: dict[str, Any] = {}
    async with system() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE column_name = 'tenant_id' AND table_schema = 'public'"
        )
        for (name,) in tables:
            if name == "outbox":
                continue  # told, and taken out, in its own time
            rows = await connection.fetch(
                f"SELECT (to_jsonb(t) - 'last_used_at')::text AS row FROM {name} AS t "  # noqa: S608
                "WHERE tenant_id = $1 AND to_jsonb(t)->>'environment_id' IS DISTINCT FROM $2",
                tenant,
                sibling,
            )
            found[name] = sorted(row["row"] for row in rows)
        rows = await connection.fetch("SELECT t::text FROM tenants AS t WHERE id = $1", tenant)
        found["tenants"] = [row["t"] for row in rows]
    for name in ("events", "processed_events", "dead_letters"):
        found[f"clickhouse.{name}"] = await clickhouse.select(
            f"SELECT count() FROM {name} FINAL WHERE tenant_id = {{t:String}}",  # noqa: S608
            {"t": tenant},
            row=tuple[int],
        )
    filled = {name for name, rows in found.items() if rows}
    assert {"customers", "invoices", "api_keys", "users", "audit_entries", "tenants"} <= filled
    return found
