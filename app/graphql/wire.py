"""GraphQL over HTTP: what a request says, and which media type to answer in.

Source: the GraphQL-over-HTTP specification. `application/graphql-response+json` gets honest
status codes; `application/json`, the older type, gets 200 for every well-formed request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from starlette.datastructures import QueryParams

from app.graphql.errors import malformed

Media = Literal["application/graphql-response+json", "application/json", "text/event-stream"]

RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"
STREAM: Final = "text/event-stream"
_MEDIA: Final[tuple[Media, ...]] = (JSON, RESPONSE, STREAM)


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """As sent. `query` is None where a persisted operation is named instead."""

    query: str | None
    variables: Mapping[str, Any]
    operation_name: str | None
    extensions: Mapping[str, Any]
    document_id: str | None = None


def from_body(body: bytes, content_type: str | None) -> GraphRequest:
    """The request in a POST's body. Raises: RequestRefused (400, 415)."""
    kind, _, parameters = (content_type or "").partition(";")
    # Nothing a browser sends without asking first, such as a form, is let in.
    if kind.strip().lower() != JSON:
        raise malformed(
            f"send the request as {JSON}, not as {kind.strip() or 'an unnamed type'}",
            "UNSUPPORTED_MEDIA_TYPE",
            status=415,
            accept_post=JSON,
        )
    charset = parameters.strip().lower()
    if charset and charset.replace('"', "").replace(" ", "") not in (
        "charset=utf-8",
        "charset=utf8",
    ):
        raise malformed("send the request in UTF-8", "UNSUPPORTED_MEDIA_TYPE", status=415)
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed(f"the body is not JSON in UTF-8: {error}", "INVALID_JSON") from error
    if isinstance(message, list):
        raise malformed("send one operation per request, not a list", "BATCHING_UNSUPPORTED")
    return from_message(message)


def from_query_string(parameters: QueryParams) -> GraphRequest:
    """The request in a GET's query string. Raises: RequestRefused (400)."""
    message: dict[str, Any] = {
        name: parameters[name]
        for name in ("query", "operationName", "documentId")
        if name in parameters
    }
    for name in ("variables", "extensions"):
        if parameters.get(name):
            try:
                message[name] = orjson.loads(parameters[name])
            except orjson.JSONDecodeError as error:
                raise malformed(f"{name}: not JSON: {error}", "INVALID_JSON") from error
    return from_message(message)


def from_message(message: object) -> GraphRequest:
    """The request in a decoded JSON value. Raises: RequestRefused (400)."""
    if not isinstance(message, dict):
        raise malformed("the request is a JSON object with the key `query`")
    return GraphRequest(
        query=_typed(message, "query", str, "a string"),
        variables=_typed(message, "variables", dict, "an object") or {},
        operation_name=_typed(message, "operationName", str, "a string"),
        extensions=_typed(message, "extensions", dict, "an object") or {},
        document_id=_typed(message, "documentId", str, "a string"),
    )


def _typed(message: Mapping[str, Any], name: str, kind: type, expected: str) -> Any:
    value = message.get(name)
    if value is not None and not isinstance(value, kind):
        raise malformed(f"{name}: must be {expected}")
    return value


def negotiated(accept: str | None) -> Media:
    """The best media type that the client takes. Raises: RequestRefused (406)."""
    if not accept:
        return JSON
    best: tuple[float, Media] | None = None
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        for media in _MEDIA:
            if weight > 0 and _covers(kind, media) and (best is None or weight > best[0]):
                best = (weight, media)
                break
    if best is None:
        raise malformed(
            f"this answers in {RESPONSE}, {JSON} or {STREAM}", "NOT_ACCEPTABLE", status=406
        )
    return best[1]


def _covers(kind: str, media: Media) -> bool:
    if kind in ("*/*", "application/*"):
        return media == JSON
    return kind == media


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def wants_page(accept: str | None) -> bool:
    """Whether a browser asks for something to look at."""
    return "text/html" in (accept or "").lower()
