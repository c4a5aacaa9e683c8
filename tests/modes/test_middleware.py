"""What surrounds every request: ids, limits, deadlines, problems, headers, metrics, log lines."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from app.config import Server
from app.infra.telemetry import current, request_id
from app.kernel.errors import (
    AlreadyExists,
    Denied,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from app.kernel.ids import is_id
from app.rest.middleware import surrounded

FAILURES: dict[str, Exception] = {
    "invalid": Invalid("quantity must be at least 1", field="quantity"),
    "unauthenticated": Unauthenticated("send x-api-key"),
    "denied": Denied("this takes customer:write"),
    "missing": NotFound("customer", "cus_1"),
    "taken": AlreadyExists("customer", "externalId", "acme"),
    "down": Unavailable("PostgreSQL", "db-7.internal refused", retry_after_seconds=3),
    "bug": KeyError("hunter2"),
    "http": HTTPException(415, "only JSON"),
}


async def fails(request: Request) -> Response:
    raise FAILURES[request.path_params["how"]]


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"bytes": len(body), "names": current(), "state": request.state.request_id})


async def slow(_request: Request) -> Response:
    await asyncio.sleep(30)
    return PlainTextResponse("late")


async def breaks(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("broke")

    return StreamingResponse(parts(), media_type="text/plain")


async def streams(_request: Request) -> Response:
    async def events() -> AsyncIterator[bytes]:
        for number in range(4):
            await asyncio.sleep(0.1)
            yield b"data: %d\n\n" % number

    return StreamingResponse(events(), media_type="text/event-stream")


def application(**settings: Any) -> ASGIApp:
    router = Router(
        [
            Route("/fails/{how}", fails),
            Route("/echo", echo, methods=["POST"]),
            Route("/slow", slow),
            Route("/breaks", breaks),
            Route("/streams", streams),
        ]
    )
    return surrounded(router, Server(**settings), access_log=True)


def client(app: ASGIApp | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app or application(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://api")


@pytest.mark.parametrize(
    ("how", "status", "code", "field"),
    [
        ("invalid", 400, "INVALID", "quantity"),
        ("unauthenticated", 401, "UNAUTHENTICATED", None),
        ("denied", 403, "FORBIDDEN", None),
        ("missing", 404, "NOT_FOUND", None),
        ("taken", 409, "ALREADY_EXISTS", "externalId"),
        ("http", 415, "UNSUPPORTED_MEDIA_TYPE", None),
        ("down", 503, "UNAVAILABLE", None),
        ("bug", 500, "INTERNAL", None),
    ],
)
async def test_an_exception_is_answered_as_a_problem(
    how: str, status: int, code: str, field: str | None
) -> None:
    async with client() as http:
        answer = await http.get(f"/fails/{how}", headers={"x-request-id": "r-1"})
    assert answer.status_code == status
    body = answer.json()
    assert list(body) == ["code", "message", "field", "request_id"]
    assert (body["code"], body["field"], body["request_id"]) == (code, field, "r-1")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


async def test_a_refusal_says_what_was_wrong_and_a_bug_does_not() -> None:
    async with client() as http:
        refusal = await http.get("/fails/invalid")
        with capture_logs() as lines:
            bug = await http.get("/fails/bug")
    assert refusal.json()["message"] == "quantity must be at least 1"
    assert "hunter2" not in bug.text
    assert "KeyError" not in bug.text
    [line] = [line for line in lines if line["event"] == "request_failed"]
    assert line["log_level"] == "error"
    assert isinstance(line["exc_info"], KeyError)


async def test_an_absent_server_is_named_without_its_host_and_says_when_to_retry() -> None:
    async with client() as http:
        with capture_logs() as lines:
            answer = await http.get("/fails/down")
    assert answer.json()["message"] == "PostgreSQL is unavailable; try again"
    assert answer.headers["retry-after"] == "3"
    [line] = [line for line in lines if line["event"] == "dependency_unavailable"]
    assert "db-7.internal" in line["reason"]


async def test_missing_credentials_are_asked_for() -> None:
    async with client() as http:
        answer = await http.get("/fails/unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="tariff"'


async def test_unknown_paths_and_methods_are_problems_too() -> None:
    async with client() as http:
        missing = await http.get("/nowhere")
        wrong = await http.get("/echo")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "POST"


async def test_a_request_keeps_its_id_and_trace_everywhere() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"x-request-id": "mine-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    async with client() as http:
        answer = await http.post("/echo", content=b"x", headers=headers)
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json()["state"] == "mine-1"
    assert answer.json()["names"]["request_id"] == "mine-1"
    assert answer.json()["names"]["trace_id"] == trace
    assert request_id() is None


async def test_a_request_id_that_is_not_sane_is_replaced() -> None:
    async with client() as http:
        answer = await http.post("/echo", headers={"x-request-id": "a b"})
    assert is_id(answer.headers["x-request-id"], "req")


async def test_a_body_above_the_limit_is_refused_by_its_announced_length() -> None:
    async with client(application(max_body_bytes=10)) as http:
        fits = await http.post("/echo", content=b"x" * 10)
        over = await http.post("/echo", content=b"x" * 11)
    assert fits.json()["bytes"] == 10
    assert (over.status_code, over.json()["code"]) == (413, "TOO_LARGE")
    assert "10 bytes" in over.json()["message"]


async def test_a_body_above_the_limit_is_refused_while_it_arrives() -> None:
    taken = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 5

    async with client(application(max_body_bytes=10)) as http:
        over = await http.post("/echo", content=parts())
    assert (over.status_code, over.json()["code"]) == (413, "TOO_LARGE")
    assert taken < 100


async def test_a_request_that_takes_too_long_is_given_up() -> None:
    async with client(application(request_seconds=0.05)) as http:
        answer = await http.get("/slow")
    assert (answer.status_code, answer.json()["code"]) == (504, "DEADLINE_EXCEEDED")


async def test_a_stream_may_take_longer_than_the_deadline() -> None:
    async with client(application(request_seconds=0.15)) as http:
        answer = await http.get("/streams")
    assert answer.text.count("data:") == 4


async def test_an_answer_that_breaks_off_is_not_passed_off_as_whole() -> None:
    sent: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": "/breaks", "headers": [], "query_string": b""}

    async def receive() -> Any:
        await asyncio.sleep(5)

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as lines:
        await application()(scope, receive, send)
    assert [message.get("more_body") for message in sent] == [None, True]
    assert {"request_failed", "response_broken"} <= {line["event"] for line in lines}


async def test_every_answer_carries_the_security_headers() -> None:
    async with client() as http:
        for path in ("/echo", "/fails/bug", "/nowhere"):
            headers = (await http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in headers
            assert "server" not in headers
    async with client(application(public_url="https://billing.example.com")) as http:
        headers = (await http.get("/echo")).headers
    assert headers["strict-transport-security"] == "max-age=31536000"


async def test_browsers_of_listed_origins_only_may_call() -> None:
    app = application(allowed_origins=["https://app.example.com"])
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    async with client(app) as http:
        listed = await http.options("/echo", headers=ask | {"origin": "https://app.example.com"})
        other = await http.options("/echo", headers=ask | {"origin": "https://evil.example.com"})
        refusal = await http.get("/fails/invalid", headers={"origin": "https://app.example.com"})
    assert listed.status_code == 200
    assert listed.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-credentials" not in listed.headers
    assert other.status_code == 400
    assert refusal.headers["access-control-allow-origin"] == "https://app.example.com"
    async with client() as http:
        none = await http.get("/fails/invalid", headers={"origin": "https://app.example.com"})
    assert "access-control-allow-origin" not in none.headers


def count(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    return REGISTRY.get_sample_value("tariff_http_requests_total", labels) or 0.0


async def test_requests_are_counted_by_the_template_of_their_route() -> None:
    before = count("GET", "/fails/{how}", "404"), count("OTHER", "unmatched", "404")
    async with client() as http:
        await http.get("/fails/missing")
        await http.request("BREW", "/secret-path")
    assert count("GET", "/fails/{how}", "404") == before[0] + 1
    assert count("OTHER", "unmatched", "404") == before[1] + 1


async def test_one_line_is_logged_for_a_request_without_its_path() -> None:
    structlog.reset_defaults()
    async with client() as http:
        with capture_logs() as lines:
            await http.get("/fails/missing?token=hunter2")
    [line] = lines
    assert line.pop("milliseconds") >= 0
    assert line.pop("bytes") > 0
    assert line == {
        "event": "http_request",
        "log_level": "info",
        "method": "GET",
        "route": "/fails/{how}",
        "status": 404,
    }
