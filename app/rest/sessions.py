"""POST /v1/auth/signup, login, refresh, logout, invitation and password; GET /v1/auth/me.

Signing in is REST and not GraphQL: one attempt is one request, which can be counted.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec
import orjson
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.config import Settings
from app.infra.telemetry import request_id
from app.kernel.clock import Clock
from app.kernel.errors import Denied, Invalid
from app.rest.problems import TooLarge, problem
from app.tenants.actions import passwords, sessions
from app.tenants.actions.sessions import SignedIn
from app.tenants.authentication import Authenticator, Caller, authenticate, credentials_of
from app.tenants.commands import AcceptInvitation, ChangePassword, LogIn, SignUp
from app.tenants.errors import TooManyAttempts
from app.tenants.reads import users

T = TypeVar("T", bound=Struct)

MAX_BODY_BYTES: Final = 16_384
_NO_STORE: Final = {"cache-control": "no-store"}
Policy = Literal["public", "authenticated"]


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    """What a request's body must be, no more and no less."""


class SignUpBody(_Body, frozen=True):
    tenant: str
    email: str
    name: str
    password: str


class LogInBody(_Body, frozen=True):
    email: str
    password: str


class TokenBody(_Body, frozen=True):
    refresh_token: str


class InvitationBody(_Body, frozen=True):
    token: str
    password: str


class PasswordBody(_Body, frozen=True):
    current: str
    new: str


class SessionDoor:
    """Handles the routes. `POLICIES` says of each who may call it."""

    POLICIES: Final[dict[str, Policy]] = {
        "/v1/auth/signup": "public",
        "/v1/auth/login": "public",
        "/v1/auth/refresh": "public",
        "/v1/auth/logout": "public",
        "/v1/auth/invitation": "public",
        "/v1/auth/password": "authenticated",
        "/v1/auth/me": "authenticated",
    }

    def __init__(self, settings: Settings, clock: Clock, authenticator: Authenticator) -> None:
        self._auth, self._clock, self._authenticator = settings.auth, clock, authenticator

    def routes(self) -> list[Route]:
        posts = {
            "/v1/auth/signup": self.sign_up,
            "/v1/auth/login": self.log_in,
            "/v1/auth/refresh": self.refresh,
            "/v1/auth/logout": self.log_out,
            "/v1/auth/invitation": self.accept_invitation,
            "/v1/auth/password": self.change_password,
        }
        made = [Route(path, _patient(handler), methods=["POST"]) for path, handler in posts.items()]
        return [*made, Route("/v1/auth/me", self.me, methods=["GET"])]

    async def sign_up(self, request: Request) -> Response:
        """201: a tenant with its owner, signed in."""
        body = await _body(request, SignUpBody)
        signed_in = await sessions.sign_up(
            self._auth,
            SignUp(tenant=body.tenant, email=body.email, name=body.name, password=body.password),
            address=_address(request),
            request_id=request_id(),
            at=self._clock.now(),
        )
        return self._tokens(signed_in, status=201)

    async def log_in(self, request: Request) -> Response:
        """200: a session. 401 for any wrong pair, 429 after too many."""
        body = await _body(request, LogInBody)
        signed_in = await sessions.log_in(
            self._auth,
            LogIn(email=body.email, password=body.password),
            address=_address(request),
            request_id=request_id(),
            at=self._clock.now(),
        )
        return self._tokens(signed_in)

    async def refresh(self, request: Request) -> Response:
        """200: the next pair of tokens; the refresh token sent no longer works."""
        body = await _body(request, TokenBody)
        signed_in = await sessions.refresh(
            self._auth, body.refresh_token, request_id=request_id(), at=self._clock.now()
        )
        return self._tokens(signed_in)

    async def log_out(self, request: Request) -> Response:
        """204: the session of the refresh token has ended, its access tokens with it."""
        body = await _body(request, TokenBody)
        await sessions.log_out(body.refresh_token, request_id=request_id(), at=self._clock.now())
        return Response(status_code=204, headers=_NO_STORE)

    async def accept_invitation(self, request: Request) -> Response:
        """200: the password is set; sign in with it."""
        body = await _body(request, InvitationBody)
        user = await passwords.accept_invitation(
            AcceptInvitation(token=body.token, password=body.password),
            request_id=request_id(),
            at=self._clock.now(),
        )
        return _json({"user": {"id": user.id, "email": user.email, "name": user.name}})

    async def change_password(self, request: Request) -> Response:
        """204: the password is changed, and every other session has ended."""
        caller = await self._caller(request)
        if caller.actor.kind != "user":
            raise Denied("only a signed-in user has a password", code="USER_REQUIRED")
        body = await _body(request, PasswordBody)
        await passwords.change(
            caller.tenant_scope,
            caller.actor.id,
            ChangePassword(current=body.current, new=body.new),
            keep_session=caller.credential,
            by=caller.actor,
            at=self._clock.now(),
        )
        return Response(status_code=204, headers=_NO_STORE)

    async def me(self, request: Request) -> Response:
        """200: who the credentials belong to, where they lead, and what they allow."""
        caller = await self._caller(request)
        return _json(
            {
                "actor": {"kind": caller.actor.kind, "id": caller.actor.id},
                "user": await _user(caller),
                "tenant": caller.tenant
                and {
                    "id": caller.tenant.id,
                    "name": caller.tenant.name,
                    "status": "suspended" if caller.tenant.suspended else "active",
                },
                "environment": caller.environment
                and {
                    "id": caller.environment.id,
                    "name": caller.environment.name,
                    "type": caller.environment.type,
                },
                "permissions": sorted(caller.permissions),
            }
        )

    async def _caller(self, request: Request) -> Caller:
        credentials = credentials_of(request.headers, request_id=request_id())
        return await authenticate(self._authenticator, credentials)

    def _tokens(self, signed_in: SignedIn, *, status: int = 200) -> Response:
        return _json(
            {
                "access_token": signed_in.access_token,
                "token_type": "Bearer",
                "expires_in": self._auth.access_token_seconds,
                "refresh_token": signed_in.refresh_token,
                "refresh_expires_at": _instant(signed_in.refresh_expires_at),
                "user_id": signed_in.user_id,
                "tenant_id": signed_in.tenant_id,
            },
            status=status,
        )


def _patient(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """`handler`, answering 429 with Retry-After where it says that there were too many attempts."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except TooManyAttempts as error:
            answer = problem(error)
            answer.status_code = 429
            answer.headers["retry-after"] = str(error.retry_after_seconds)
            return answer

    return handle


async def _user(caller: Caller) -> dict[str, Any] | None:
    if caller.actor.kind != "user":
        return None
    user = await users.get(caller.tenant_scope, caller.actor.id)
    return {"id": user.id, "email": user.email, "name": user.name, "roles": user.roles}


async def _body(request: Request, kind: type[T]) -> T:
    """The body as `kind`. Raises: TooLarge, Invalid (REQUIRED, UNKNOWN_FIELD, INVALID_BODY)."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _explained(str(error), kind) from None


def _explained(error: str, kind: type[Struct]) -> Invalid:
    reason, _, path = error.partition(" - at `$.")
    field = path.rstrip("`") or None
    named = re.search(r"field `([^`]*)`", reason)
    code = "INVALID_BODY"
    if named is not None:
        field, code = named[1], "REQUIRED" if "missing" in reason else "UNKNOWN_FIELD"
    expected = ", ".join(kind.__struct_fields__)
    at = f"{field}: " if field else ""
    return Invalid(f"{at}{reason}; send a JSON object of {expected}", field=field, code=code)


def _address(request: Request) -> str | None:
    # Behind a proxy, uvicorn puts here what a trusted one says.
    return request.client.host if request.client else None


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _json(content: object, *, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, headers=_NO_STORE, media_type="application/json")
