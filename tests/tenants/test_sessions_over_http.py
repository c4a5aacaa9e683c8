"""The routes of signing in, as a client sees them."""

from datetime import timedelta

import httpx
import msgspec
import pytest
from starlette.routing import Router

from app.config import Auth
from app.rest.middleware import surrounded
from app.rest.sessions import MAX_BODY_BYTES, SessionDoor
from app.tenants import throttle
from app.tenants.authentication import open_authenticator
from tests.tenants import make

AUTH = Auth(jwt_secret="a secret of at least 32 characters", key_cache_seconds=0)


@pytest.fixture
async def http(database, settings, clock):
    settings = msgspec.structs.replace(settings, auth=AUTH)
    async with open_authenticator(settings, clock) as authenticator:
        door = SessionDoor(settings, clock, authenticator)
        app = surrounded(Router(door.routes()), settings.server, access_log=False)
        transport = httpx.ASGITransport(app, client=(make.address(), 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://tariff") as client:
            yield client


def account(**fields):
    new = {"tenant": "Acme", "email": make.address(), "name": "Ada", "password": make.PASSWORD}
    return new | fields


def bearer(tokens):
    return {"authorization": f"Bearer {tokens['access_token']}"}


def wrong(answer, status, code, field=None):
    """That the answer is a problem of the documented shape."""
    body = answer.json()
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)
    assert set(body) == {"code", "message", "field", "request_id"}
    assert answer.headers["cache-control"] == "no-store"
    return body


async def test_the_way_from_signing_up_to_signing_out(http):
    new = account()
    answer = await http.post("/v1/auth/signup", json=new)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    me = (await http.get("/v1/auth/me", headers=bearer(tokens))).json()
    assert me["actor"] == {"kind": "user", "id": tokens["user_id"]}
    assert me["user"] == {
        "id": tokens["user_id"],
        "email": new["email"],
        "name": "Ada",
        "roles": ["owner"],
    }
    assert me["tenant"] == {"id": tokens["tenant_id"], "name": "Acme", "status": "active"}
    assert (me["environment"]["name"], me["environment"]["type"]) == ("Production", "production")
    assert "tenant:write" in me["permissions"]
    login = {"email": new["email"], "password": new["password"]}
    tokens = (await http.post("/v1/auth/login", json=login)).json()
    old = {"refresh_token": tokens["refresh_token"]}
    tokens = (await http.post("/v1/auth/refresh", json=old)).json()
    assert (await http.get("/v1/auth/me", headers=bearer(tokens))).status_code == 200
    out = await http.post("/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert (out.status_code, out.content) == (204, b"")
    wrong(await http.get("/v1/auth/me", headers=bearer(tokens)), 401, "SESSION_ENDED")


async def test_me_of_a_key_is_the_key(http, clock):
    made = await make.tenant(clock)
    key = await make.key(make.development(made), clock)
    me = (await http.get("/v1/auth/me", headers={"x-api-key": key.secret.text})).json()
    assert me["actor"] == {"kind": "api_key", "id": key.key.id}
    assert (me["user"], me["environment"]["id"]) == (None, made.development.id)
    assert me["permissions"] == ["event:write"]


async def test_who_has_no_credentials_is_told_how_to_send_some(http):
    answer = await http.get("/v1/auth/me")
    body = wrong(answer, 401, "UNAUTHENTICATED")
    assert "x-api-key" in body["message"]
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["signup", "login", "refresh", "logout", "invitation"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "INVALID_BODY"),
        (b"[]", "INVALID_BODY"),
        (b"{", "INVALID_BODY"),
        (b"\xff", "INVALID_BODY"),
        (b"{}", "REQUIRED"),
        (b'{"colour": "red"}', "UNKNOWN_FIELD"),
    ],
)
async def test_a_body_that_is_none_is_refused(http, path, body, code):
    before = await make.snapshot()
    answer = await http.post(f"/v1/auth/{path}", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await make.snapshot() == before


async def test_a_wrong_field_is_named(http):
    wrong(await http.post("/v1/auth/login", json={"email": 7}), 400, "INVALID_BODY", "email")
    wrong(await http.post("/v1/auth/login", json={"email": "a"}), 400, "REQUIRED", "password")
    answer = await http.post("/v1/auth/signup", json=account(extra=1))
    wrong(answer, 400, "UNKNOWN_FIELD", "extra")
    answer = await http.post("/v1/auth/signup", json=account(password="short"))
    wrong(answer, 400, "INVALID_PASSWORD", "password")
    answer = await http.post("/v1/auth/signup", json=account(tenant="\u0007"))
    wrong(answer, 400, "INVALID_TENANT", "tenant")


async def test_a_body_too_large_is_refused(http):
    answer = await http.post("/v1/auth/login", content=b" " * (MAX_BODY_BYTES + 1))
    wrong(answer, 413, "TOO_LARGE")


async def test_a_taken_address_is_a_conflict(http):
    new = account()
    await http.post("/v1/auth/signup", json=new)
    wrong(await http.post("/v1/auth/signup", json=new), 409, "ALREADY_EXISTS", "email")


async def test_wrong_passwords_are_401_and_too_many_are_429(http, clock):
    login = {"email": make.address(), "password": make.PASSWORD}
    for _ in range(throttle.PER_EMAIL_AND_ADDRESS):
        wrong(await http.post("/v1/auth/login", json=login), 401, "INVALID_CREDENTIALS")
    clock.at += timedelta(seconds=60)
    answer = await http.post("/v1/auth/login", json=login)
    wrong(answer, 429, "TOO_MANY_ATTEMPTS")
    assert answer.headers["retry-after"] == "840"


async def test_an_invitation_is_accepted_and_the_password_changed(http, clock):
    made = await make.tenant(clock)
    invitation = await make.invited(made, clock, user_roles=("viewer",))
    body = {"token": invitation.token, "password": make.PASSWORD}
    answer = await http.post("/v1/auth/invitation", json=body)
    assert answer.json()["user"]["id"] == invitation.user.id
    wrong(await http.post("/v1/auth/invitation", json=body), 401, "INVALID_INVITATION")
    login = {"email": invitation.user.email, "password": make.PASSWORD}
    tokens = (await http.post("/v1/auth/login", json=login)).json()
    body = {"current": make.PASSWORD, "new": "another horse altogether"}
    wrong(await http.post("/v1/auth/password", json=body), 401, "UNAUTHENTICATED")
    answer = await http.post("/v1/auth/password", json=body, headers=bearer(tokens))
    assert answer.status_code == 204
    wrong(await http.post("/v1/auth/login", json=login), 401, "INVALID_CREDENTIALS")
    key = (await make.key(make.production(made), clock)).secret.text
    answer = await http.post("/v1/auth/password", json=body, headers={"x-api-key": key})
    wrong(answer, 403, "USER_REQUIRED")


async def test_a_foreign_environment_is_403(http, clock):
    tokens = (await http.post("/v1/auth/signup", json=account())).json()
    made = await make.tenant(clock)
    headers = bearer(tokens) | {"x-environment-id": made.production.id}
    wrong(await http.get("/v1/auth/me", headers=headers), 403, "ENVIRONMENT_FORBIDDEN")


async def test_without_postgresql_the_answer_is_503_and_names_no_host(http, clock, outage):
    made = await make.tenant(clock)
    key = (await make.key(make.production(made), clock)).secret.text
    async with outage():
        answer = await http.get("/v1/auth/me", headers={"x-api-key": key})
    body = wrong(answer, 503, "UNAVAILABLE")
    assert body["message"] == "PostgreSQL is unavailable; try again"
    assert answer.headers["retry-after"] == "1"


async def test_every_route_has_a_policy_and_keeps_it(http, database, settings, clock):
    async with open_authenticator(settings, clock) as authenticator:
        routes = SessionDoor(settings, clock, authenticator).routes()
    assert {route.path for route in routes} == set(SessionDoor.POLICIES)
    for route in routes:
        method = "GET" if "GET" in route.methods else "POST"
        answer = await http.request(method, route.path, json={})
        closed = SessionDoor.POLICIES[route.path] == "authenticated"
        assert answer.status_code == (401 if closed else 400)
