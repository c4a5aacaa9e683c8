"""What one HTTP request asks of ClickHouse: the query, its parameters and its settings."""

import base64
import binascii
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from app.embedded.clickhouse.codes import AUTHENTICATION_FAILED, NOT_IMPLEMENTED, EngineError

# Parameters of the interface itself; every other one is a setting of the query.
_OF_THE_INTERFACE = {
    "add_http_cors_header",
    "buffer_size",
    "client_protocol_version",
    "compress",
    "database",
    "decompress",
    "default_format",
    "enable_http_compression",
    "password",
    "query",
    "query_id",
    "quota_key",
    "role",
    "send_progress_in_http_headers",
    "session_check",
    "session_id",
    "session_timeout",
    "stacktrace",
    "user",
    "wait_end_of_query",
}
_NOT_OFFERED = ("session_id", "role", "compress", "decompress")


@dataclass(frozen=True, slots=True)
class Request:
    """`query` is the part of the statement in the URL; the rest of it, or the data of an
    INSERT, is the body. `parameters` are the `{name:Type}` ones, in escaped text."""

    query: bytes
    query_id: str
    database: str
    default_format: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    read_only: bool
    wait_end_of_query: bool
    compress: bool
    encoding: str  # how the body is compressed: "", gzip or deflate
    marker: str = field(default_factory=lambda: uuid.uuid4().hex)  # ours alone, to cancel by


def read(method: str, query_string: bytes, headers: Mapping[str, str]) -> Request:
    """The request in these parts of HTTP. `headers` have lower-case names.

    Raises: EngineError, where it asks for what this interface does not offer.
    """
    given = dict(parse_qsl(query_string.decode(), keep_blank_values=True))
    for name in _NOT_OFFERED:
        if given.get(name, "0") not in ("", "0"):
            raise EngineError(NOT_IMPLEMENTED, f"The embedded ClickHouse does not offer {name}")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "deflate"):
        raise EngineError(NOT_IMPLEMENTED, f"Unknown compression method '{encoding}'")
    gzip_asked = "gzip" in headers.get("accept-encoding", "")
    return Request(
        query=given.get("query", "").encode(),
        query_id=given.get("query_id") or str(uuid.uuid4()),
        database=given.get("database") or headers.get("x-clickhouse-database", ""),
        default_format=(
            given.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
        ),
        parameters={k[6:]: v for k, v in given.items() if k.startswith("param_")},
        settings={
            k: v
            for k, v in given.items()
            if k not in _OF_THE_INTERFACE and not k.startswith("param_")
        },
        read_only=method == "GET",
        wait_end_of_query=given.get("wait_end_of_query", "0") not in ("", "0"),
        compress=given.get("enable_http_compression", "0") not in ("", "0") and gzip_asked,
        encoding="" if encoding == "identity" else encoding,
    )


def authenticate(
    query_string: bytes, headers: Mapping[str, str], *, user: str, password: str
) -> None:
    """Refuse a caller without the one user's credentials, wherever HTTP lets him put them.

    Raises: EngineError.
    """
    given = dict(parse_qsl(query_string.decode()))
    basic_user, basic_password = _basic(headers.get("authorization", ""))
    claimed = headers.get("x-clickhouse-user") or basic_user or given.get("user") or "default"
    secret = headers.get("x-clickhouse-key") or basic_password or given.get("password") or ""
    known = hmac.compare_digest(claimed.encode(), user.encode())
    if not (hmac.compare_digest(secret.encode(), password.encode()) and known):
        raise EngineError(
            AUTHENTICATION_FAILED,
            f"{claimed}: Authentication failed: password is incorrect, "
            "or there is no user with such name",
        )


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(credentials).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
