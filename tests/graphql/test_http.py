"""GraphQL over HTTP: media types, status codes, and what is not let in."""

import gzip
import json
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from app.config import Kafka, Settings
from app.graphql.endpoint import routes
from app.graphql.hub import Hub
from app.graphql.limits import Limits
from app.graphql.persisted import PersistedOperations, digest
from app.graphql.service import Service, open_service
from app.infra.postgres import fetch
from app.kernel.clock import SystemClock
from app.kernel.scope import Scope
from app.tenants.authentication import Authenticator
from tests.graphql.conftest import make_runtime

JSON = "application/json"
RESPONSE = "application/graphql-response+json"
RESOLUTION = "OPERATION_RESOLUTION_FAILURE"
CREATE = (
    'mutation { customerCreate(input: {externalId: "acme", name: "Acme"}) '
    "{ __typename ... on Customer { id } } }"
)


async def post(
    http: httpx.AsyncClient, body: Any, *, accept: str | None = RESPONSE, **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"content-type": JSON, **named} | ({"accept": accept} if accept else {"accept": ""})
    return await http.post("/graphql", content=content, headers=given)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (RESPONSE, RESPONSE),
        (JSON, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{RESPONSE}, {JSON};q=0.9", RESPONSE),
        (f"{JSON};q=0.1, {RESPONSE};q=0.9", RESPONSE),
        (f"{RESPONSE};charset=utf-8", RESPONSE),
        ("text/html, */*;q=0.1", JSON),
    ],
)
async def test_the_answer_has_the_media_type_the_client_likes_best(
    http: httpx.AsyncClient, accept: str, media: str
) -> None:
    answer = await post(http, {"query": "{ __typename }"}, accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{media}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["graphql-cost"] == "1"
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("accept", ["text/html", "application/xml", f"{JSON};q=0", f"{JSON};q=x"])
async def test_a_media_type_we_do_not_speak_is_406(http: httpx.AsyncClient, accept: str) -> None:
    answer = await post(http, {"query": "{ __typename }"}, accept=accept)
    assert answer.status_code == 406
    assert answer.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"),
        (
            {"query": "{ customers(orderBy: {field: NOPE}) { totalCount } }"},
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ({"query": "query ($a: Int!) { customers(first: $a) { totalCount } }"}, "BAD_USER_INPUT"),
        (
            {
                "query": "query ($a: Int) { customers(first: $a) { totalCount } }",
                "variables": {"a": 2**31},
            },
            "BAD_USER_INPUT",
        ),
        (
            {
                "query": "query ($a: CustomerFilter) { customers(filter: $a) { totalCount } }",
                "variables": {"a": {"nope": 1}},
            },
            "BAD_USER_INPUT",
        ),
        (
            {"query": "query A { __typename } query B { __typename }"},
            RESOLUTION,
        ),
        ({"query": "{ __typename }", "operationName": "X"}, RESOLUTION),
        ({"query": "fragment F on Query { __typename }"}, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_request_that_cannot_be_run_is_400_or_200_by_media_type_and_has_no_data(
    http: httpx.AsyncClient, body: dict[str, Any], code: str
) -> None:
    for accept, status in ((RESPONSE, 400), (JSON, 200)):
        answer = await post(http, body, accept=accept)
        assert answer.status_code == status, answer.text
        assert "data" not in answer.json()
        assert {e["extensions"]["code"] for e in answer.json()["errors"]} == {code}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "INVALID_JSON"),
        (b"{", 400, "INVALID_JSON"),
        (b'{"query": "{ __typename }", "variables": {"a": NaN}}', 400, "INVALID_JSON"),
        (b'{"query": "{ __typename }", "variables": {"a": Infinity}}', 400, "INVALID_JSON"),
        (b'{"query": "\xff"}', 400, "INVALID_JSON"),
        (b"[" * 100_000, 400, "INVALID_JSON"),
        (b'[{"query": "{ __typename }"}]', 400, "BATCHING_UNSUPPORTED"),
        (b'"{ __typename }"', 400, "BAD_REQUEST"),
        (b"{}", 400, "BAD_REQUEST"),
        (b'{"query": 1}', 400, "BAD_REQUEST"),
        (b'{"query": "{ __typename }", "variables": []}', 400, "BAD_REQUEST"),
        (b'{"query": "{ __typename }", "operationName": 1}', 400, "BAD_REQUEST"),
        (b'{"query": "{ __typename }", "extensions": ""}', 400, "BAD_REQUEST"),
        (b'{"query": "' + b" " * 1_048_576 + b'"}', 413, "BODY_TOO_LARGE"),
    ],
)
async def test_what_is_no_graphql_request_gets_its_status_whatever_the_media_type(
    http: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    for accept in (RESPONSE, JSON, None):
        answer = await post(http, body, accept=accept)
        assert answer.status_code == status
        assert [e["extensions"]["code"] for e in answer.json()["errors"]] == [code]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=utf-16",
        "application/graphql",
    ],
)
async def test_only_json_in_utf8_is_taken_so_no_form_of_another_site_is(
    http: httpx.AsyncClient, key: str, place: Scope, content_type: str
) -> None:
    answer = await post(http, {"query": CREATE}, content_type=content_type, x_api_key=key)
    assert answer.status_code == 415
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert await fetch(place, "SELECT id FROM customers") == []


async def test_get_runs_queries_only(http: httpx.AsyncClient, key: str, place: Scope) -> None:
    keyed = {"x-api-key": key, "accept": RESPONSE}
    query = "query ($n: Int!) { customers(first: $n) { nodes { id } } }"
    answer = await http.get(
        "/graphql", params={"query": query, "variables": '{"n": 1}'}, headers=keyed
    )
    assert (answer.status_code, answer.json()) == (200, {"data": {"customers": {"nodes": []}}})
    answer = await http.get("/graphql", params={"query": CREATE}, headers=keyed)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert await fetch(place, "SELECT id FROM customers") == []
    answer = await http.get("/graphql", params={"query": "{ __typename }", "variables": "{"})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (
        400,
        "INVALID_JSON",
    )
    assert (await http.get("/graphql")).status_code == 400
    assert (await http.put("/graphql")).status_code == 405
    assert (await http.delete("/graphql")).status_code == 405


async def test_a_subscription_over_plain_http_is_told_where_to_go(http: httpx.AsyncClient) -> None:
    text = 'subscription { usageUpdated(meterId: "x", externalCustomerId: "y") { quantity } }'
    answer = await post(http, {"query": text})
    assert answer.status_code == 406
    error = answer.json()["errors"][0]
    assert error["extensions"]["code"] == "SUBSCRIPTION_NEEDS_STREAM"
    assert "graphql-transport-ws" in error["message"]
    answer = await post(http, {"query": text}, accept="text/event-stream")
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x_api_key": "nonsense"}, "UNAUTHENTICATED"),
        ({"authorization": "Basic YTpi"}, "UNAUTHENTICATED"),
        ({"authorization": "Bearer a.b.c"}, "UNAUTHENTICATED"),
    ],
)
async def test_wrong_credentials_are_401_before_anything_is_looked_at(
    http: httpx.AsyncClient, headers: dict[str, str], code: str
) -> None:
    answer = await post(http, {"query": "{ __typename }"}, **headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_no_credentials_see_what_is_public_and_nothing_else(http: httpx.AsyncClient) -> None:
    answer = await post(http, {"query": "{ customers { totalCount } }"})
    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_request_id_of_the_caller_comes_back_in_errors(
    http: httpx.AsyncClient, service: Service
) -> None:
    answer = await post(http, {"query": "{ customers { totalCount } }"})
    assert answer.json()["errors"][0]["extensions"]["requestId"].startswith("req_")


async def test_a_document_is_sent_once_and_named_by_its_hash_afterwards(
    http: httpx.AsyncClient,
) -> None:
    text = "query Persisted { __typename }"
    extension = {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}
    answer = await post(http, {"extensions": extension})
    assert answer.status_code == 200
    assert answer.json()["errors"] == [
        {
            "message": "PersistedQueryNotFound",
            "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"},
        }
    ]
    sent = await post(http, {"query": text, "extensions": extension})
    assert sent.json() == {"data": {"__typename": "Query"}}
    for named in ({"extensions": extension}, {"documentId": f"sha256:{digest(text)}"}):
        assert (await post(http, named)).json() == {"data": {"__typename": "Query"}}
    listed = await http.get("/graphql", params={"extensions": json.dumps(extension), "query": ""})
    assert listed.status_code == 400  # an empty query is not the named one


@pytest.mark.parametrize(
    ("extension", "code"),
    [
        ({"version": 2, "sha256Hash": "0" * 64}, "BAD_REQUEST"),
        ({"version": 1, "sha256Hash": "short"}, "BAD_REQUEST"),
        ("x", "BAD_REQUEST"),
        ({"version": 1, "sha256Hash": "0" * 64}, "PERSISTED_QUERY_MISMATCH"),
    ],
)
async def test_a_hash_that_does_not_fit_is_refused(
    http: httpx.AsyncClient, extension: Any, code: str
) -> None:
    answer = await post(
        http, {"query": "{ __typename }", "extensions": {"persistedQuery": extension}}
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def silence(_hub: Hub, _kafka: Kafka) -> None:
    """A feed for services that live too shortly to hear anything."""


async def client_of(service: Service) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=routes(service)))
    return httpx.AsyncClient(transport=transport, base_url="http://tariff.test")


async def test_a_deployment_may_run_listed_documents_only(
    database: Settings, authenticator: Authenticator
) -> None:
    listed = "{ __typename }"
    persisted = PersistedOperations({"any": listed}, only_listed=True)
    runtime = make_runtime(database, SystemClock())
    async with open_service(runtime, authenticator, persisted=persisted, feed=silence) as service:
        http = await client_of(service)
        assert (await post(http, {"query": listed})).status_code == 200
        assert (await post(http, {"documentId": digest(listed)})).status_code == 200
        answer = await post(http, {"query": "query Other { __typename }"})
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["extensions"]["code"] == "OPERATION_NOT_LISTED"


def test_remembered_documents_are_bounded() -> None:
    persisted = PersistedOperations(capacity=100)
    texts = [f"{{ a{i}: __typename }}".ljust(30) for i in range(10)]
    for text in texts:
        persisted._remember(digest(text), text)
    assert list(persisted._met) == [digest(text) for text in texts[-3:]]
    assert persisted._characters == 90


async def test_introspection_can_be_turned_off_with_all_that_gives_names_away(
    database: Settings, authenticator: Authenticator
) -> None:
    server = msgspec.structs.replace(database.server, introspection=False, graphiql=False)
    settings = msgspec.structs.replace(database, server=server)
    async with open_service(
        make_runtime(settings, SystemClock()), authenticator, feed=silence
    ) as service:
        http = await client_of(service)
        answer = await post(http, {"query": "{ __schema { types { name } } }"})
        assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        answer = await post(http, {"query": "{ customer2 { id } }"})
        assert "customer" not in answer.text.replace("customer2", "")
        page = await http.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
        assert page.status_code == 400
        assert (await http.get("/graphql/assets/graphiql.js")).status_code == 404


async def test_graphiql_comes_from_our_own_files_and_may_run_no_others(
    http: httpx.AsyncClient,
) -> None:
    page = await http.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe-eval" not in policy
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name, kind in (("graphiql.js", "text/javascript"), ("graphiql.css", "text/css")):
        assert f"graphql/assets/{name}?v=" in page.text
        asset = await http.get(f"/graphql/assets/{name}")
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(kind)
        assert "immutable" in asset.headers["cache-control"]
        plain = await http.get(f"/graphql/assets/{name}", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == asset.content
        assert len(gzip.compress(plain.content)) < 500_000
    assert "MIT" in (await http.get("/graphql/assets/licenses.txt")).text
    for name in ("nope.js", "..%2Fide.py", "package.json"):
        assert (await http.get(f"/graphql/assets/{name}")).status_code == 404


async def test_an_environment_may_spend_so_much_a_minute(
    database: Settings, authenticator: Authenticator, key: str
) -> None:
    limits = msgspec.structs.replace(database.rate_limits, graphql_cost_per_minute=60)
    settings = msgspec.structs.replace(database, rate_limits=limits)
    async with open_service(
        make_runtime(settings, SystemClock()), authenticator, limits=Limits(), feed=silence
    ) as service:
        http = await client_of(service)
        big = {"query": "{ customers(first: 100) { nodes { id } } }"}
        assert (await post(http, big, x_api_key=key)).status_code == 200
        answer = await post(http, big, x_api_key=key)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert (await post(http, {"query": "{ __typename }"})).status_code == 200
