"""What a request or a socket says about who sends it. Nothing here is proven yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.kernel.errors import Unauthenticated

LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class Credentials:
    """`key` is what came as an API key, `token` what came as another bearer token."""

    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tenant_id: str | None = None
    environment_id: str | None = None
    request_id: str | None = None


def credentials_of(headers: Mapping[str, object], *, request_id: str | None = None) -> Credentials:
    """From headers with lower-case names, or a socket's connection parameters spelled alike.

    `x-api-key` goes before `authorization`. Raises: Unauthenticated for another scheme than
    Bearer.
    """
    key, token = _text(headers, "x-api-key"), None
    if key is None and (authorization := _text(headers, "authorization")):
        scheme, _, value = authorization.partition(" ")
        value = value.strip()
        if scheme.lower() != "bearer" or not value:
            raise Unauthenticated("send `Authorization: Bearer` with an API key or access token")
        # An access token has three parts; a key has none.
        key, token = (None, value) if value.count(".") == 2 else (value, None)
    if len(key or token or "") > LONGEST:
        raise Unauthenticated("the credentials are too long to be ours")
    return Credentials(
        key=key,
        token=token,
        tenant_id=_text(headers, "x-tenant-id"),
        environment_id=_text(headers, "x-environment-id"),
        request_id=request_id,
    )


def _text(headers: Mapping[str, object], name: str) -> str | None:
    # A socket's parameters are JSON, where anything may stand for a text.
    value = headers.get(name)
    return (value.strip() or None) if isinstance(value, str) else None
