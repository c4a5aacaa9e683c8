"""Access tokens: JSON Web Tokens signed with HS256, and nothing else accepted.

A token only points at a session; what its user may do is looked up at every use, so that
signing out, archiving and demoting take effect within `auth.key_cache_seconds`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from app.config import Auth
from app.kernel.errors import Unauthenticated
from app.kernel.ids import is_id

ALGORITHM = "HS256"
AUDIENCE = "tariff-api"
MAX_LENGTH = 2_048
_HEADER = {"alg": ALGORITHM, "typ": "JWT"}
_REQUIRED = ("aud", "exp", "iat", "iss", "nbf", "sid", "sub", "ten")


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: str
    tenant_id: str
    session_id: str
    expires_at: datetime


def sign(auth: Auth, *, user_id: str, tenant_id: str, session_id: str, at: datetime) -> str:
    """A token that is good for `auth.access_token_seconds` from `at` on."""
    issued = int(at.timestamp())
    claims = {
        "iss": auth.issuer,
        "aud": AUDIENCE,
        "iat": issued,
        "nbf": issued,
        "exp": issued + auth.access_token_seconds,
        "sub": user_id,
        "ten": tenant_id,
        "sid": session_id,
    }
    return jwt.encode(claims, auth.jwt_secret, algorithm=ALGORITHM, headers=_HEADER)


def verify(auth: Auth, token: str, *, at: datetime) -> Claims:
    """What a token says, if we signed it and `at` lies in its time. Raises: Unauthenticated."""
    try:
        claims = _decoded(auth, token)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise _refused("is not one of ours") from error
    now = int(at.timestamp())
    times = [claims[name] for name in ("iat", "nbf", "exp")]
    if any(type(value) is not int for value in times):
        raise _refused("is not one of ours")
    issued, begins, ends = times
    if now < max(issued, begins):
        raise _refused("is not valid yet")
    if ends - issued > auth.access_token_seconds:
        raise _refused("lives longer than ours do")
    if now >= ends:
        raise _refused("has expired; refresh it", code="ACCESS_TOKEN_EXPIRED")
    user_id, tenant_id, session_id = (claims[name] for name in ("sub", "ten", "sid"))
    for value, prefix in ((user_id, "usr"), (tenant_id, "ten"), (session_id, "ses")):
        if not isinstance(value, str) or not is_id(value, prefix):
            raise _refused("is not one of ours")
    return Claims(user_id, tenant_id, session_id, datetime.fromtimestamp(ends, UTC))


def _decoded(auth: Auth, token: str) -> dict[str, Any]:
    if len(token) > MAX_LENGTH:
        raise jwt.InvalidTokenError("too long")
    # We write two header fields. Whoever sends `kid`, `jku`, `x5u` or `crit` wants something
    # of the verifier that we never promised.
    if jwt.get_unverified_header(token) != _HEADER:
        raise jwt.InvalidTokenError("the header is not ours")
    decoded: dict[str, Any] = jwt.decode(
        token,
        auth.jwt_secret,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=auth.issuer,
        # Times are checked by the caller's clock, not by the machine's.
        options={
            "require": list(_REQUIRED),
            "strict_aud": True,
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    return decoded


def _refused(why: str, *, code: str | None = None) -> Unauthenticated:
    return Unauthenticated(f"the access token {why}", code=code)
