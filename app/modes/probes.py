"""What the modes without an API serve over HTTP: /health, /ready and /metrics."""

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from app.config import Mode
from app.rest.health import Readiness, health
from app.rest.metrics import metrics
from app.rest.middleware import surrounded
from app.runtime import Need, Runtime


def probes(runtime: Runtime, *, needs: frozenset[Need], mode: Mode) -> ASGIApp:
    """An application that answers probes alone."""
    return application(runtime, probe_routes(runtime, needs=needs, mode=mode))


def probe_routes(runtime: Runtime, *, needs: frozenset[Need], mode: Mode) -> list[BaseRoute]:
    """Who may ask: anybody. The answers name dependencies, never hosts."""
    return [
        Route("/health", health),
        Route("/ready", Readiness(runtime, needs, mode).answer),
        Route("/metrics", metrics),
    ]


def application(runtime: Runtime, routes: list[BaseRoute]) -> ASGIApp:
    """Routes with everything that surrounds a request."""
    settings = runtime.settings
    router = Router(routes, redirect_slashes=False, default=_nothing_here)
    return surrounded(router, settings.server, access_log=settings.logging.access)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4404, "reason": "nothing at this path"})
        return
    raise HTTPException(404)
