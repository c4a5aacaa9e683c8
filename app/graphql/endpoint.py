"""The door: POST and GET /graphql, WebSockets and event streams on the same path, and the IDE.

Answers follow GraphQL over HTTP. Credentials travel in headers, never in cookies, and a POST
must be JSON, so another site's page cannot make a browser act for its user.
"""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.graphql import ide, wire
from app.graphql.encoding import encoded
from app.graphql.errors import RequestRefused, malformed
from app.graphql.execution import Prepared, is_subscription
from app.graphql.idempotency import Answer, once
from app.graphql.metrics import REQUESTS
from app.graphql.service import Service, Visit, is_mutation
from app.graphql.sse import streamed
from app.graphql.websocket import Socket
from app.infra.telemetry import bound
from app.infra.telemetry.context import accepted_request_id

log = structlog.get_logger(__name__)

PATH = "/graphql"


def routes(service: Service) -> list[BaseRoute]:
    """What the API mode serves of GraphQL."""
    endpoint = Endpoint(service)
    found: list[BaseRoute] = [
        Route(PATH, endpoint.http, methods=["GET", "POST"]),
        WebSocketRoute(PATH, endpoint.websocket),
    ]
    if service.runtime.settings.server.graphiql:
        found.append(Route(f"{PATH}/assets/{{name}}", ide.asset, methods=["GET"]))
    return found


class Endpoint:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._server = service.runtime.settings.server

    async def http(self, request: Request) -> Response:
        """Any HTTP request to the endpoint."""
        accept = request.headers.get("accept")
        # A link with a query in it opens the page with that query, ready to be run.
        if request.method == "GET" and self._server.graphiql and wire.wants_page(accept):
            return ide.page()
        media: wire.Media = wire.JSON
        request_id = getattr(request.state, "request_id", None) or accepted_request_id(None)
        try:
            media = wire.negotiated(accept)
            with bound(request_id=request_id):
                return await self._answered(request, media, request_id)
        except RequestRefused as refused:
            REQUESTS.labels("unknown", "refused").inc()
            return _refused(refused, media)

    async def _answered(self, request: Request, media: wire.Media, request_id: str) -> Response:
        visit = await self._service.visit(request.headers, request_id)
        prepared = self._service.prepare(await self._asked(request))
        key = request.headers.get("idempotency-key") if is_mutation(prepared) else None
        _check_transport(request.method, media, prepared, key)
        if is_subscription(prepared) and visit.caller is None:
            raise malformed(
                "a subscription takes credentials",
                "UNAUTHENTICATED",
                status=401,
                www_authenticate="Bearer",
            )
        self._service.admit(prepared, visit)
        if media == wire.STREAM:
            return streamed(self._service, prepared, visit)
        answer = await self._executed(prepared, visit, key)
        return _response(answer.body, media, prepared, answer.headers)

    async def _executed(self, prepared: Prepared, visit: Visit, key: str | None) -> Answer:
        context = self._service.context(visit)
        if key is None:
            return Answer(encoded(await self._service.execute(prepared, context)), {})
        if visit.caller is None:
            raise malformed(
                "Idempotency-Key needs credentials: a key belongs to who sent it",
                "INVALID_IDEMPOTENCY_KEY",
            )
        return await once(self._service, prepared, context, key)

    async def _asked(self, request: Request) -> wire.GraphRequest:
        if request.method == "GET":
            return wire.from_query_string(request.query_params)
        body = await _body(request, self._service.graph.limits.body_bytes)
        return wire.from_body(body, request.headers.get("content-type"))

    async def websocket(self, websocket: WebSocket) -> None:
        """A WebSocket; one from a page of another site is not accepted."""
        origin = websocket.headers.get("origin")
        if origin is not None and not self._is_ours(origin, websocket.headers.get("host", "")):
            log.warning("websocket_origin_refused", origin=origin[:200])
            await websocket.close(4403)  # before accepting: the handshake is answered 403
            return
        await Socket(self._service, websocket).serve()

    def _is_ours(self, origin: str, host: str) -> bool:
        if origin in self._server.allowed_origins or "*" in self._server.allowed_origins:
            return True
        with suppress(ValueError):
            asked = urlsplit(origin).netloc.lower()
            return asked in {host.lower(), urlsplit(self._server.public_url).netloc.lower()}
        return False


def _check_transport(
    method: str, media: wire.Media, prepared: Prepared, idempotency_key: str | None
) -> None:
    """What may be asked which way. Raises: RequestRefused (405, 406)."""
    if method == "GET" and is_mutation(prepared):
        raise malformed("a mutation must be sent by POST", status=405, allow="POST")
    if is_subscription(prepared) and media != wire.STREAM:
        raise malformed(
            f"a subscription is answered as {wire.STREAM}, or over a WebSocket with the "
            "protocol graphql-transport-ws",
            "SUBSCRIPTION_NEEDS_STREAM",
            status=406,
        )
    if idempotency_key is not None and media == wire.STREAM:
        raise malformed(
            f"a mutation with an Idempotency-Key is answered as {wire.JSON}",
            "NOT_ACCEPTABLE",
            status=406,
        )


async def _body(request: Request, limit: int) -> bytes:
    """The request's body. Raises: RequestRefused (413)."""
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise malformed(
                    f"the request has more than {limit} bytes", "BODY_TOO_LARGE", status=413
                )
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise malformed("the request ended early", status=499) from error
    return b"".join(chunks)


def _refused(refused: RequestRefused, media: wire.Media) -> Response:
    status = refused.status
    if media == wire.JSON and status == 400 and not refused.malformed:
        # Clients of the older type take other statuses for the work of a proxy.
        status = 200
    kind = wire.JSON if media == wire.STREAM else media
    return Response(
        encoded({"errors": refused.errors}),
        status_code=status,
        headers={**refused.headers, "cache-control": "no-store", "vary": "accept"},
        media_type=f"{kind}; charset=utf-8",
    )


def _response(
    body: bytes, media: wire.Media, prepared: Prepared, headers: Mapping[str, str]
) -> Response:
    return Response(
        body,
        headers={
            **headers,
            "cache-control": "no-store",
            "vary": "accept",
            "graphql-cost": str(prepared.cost),
        },
        media_type=f"{media}; charset=utf-8",
    )
