"""Mode `api`: GraphQL and REST over HTTP and WebSockets. Every route is on this page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from app.config import Mode, Settings
from app.graphql import endpoint
from app.graphql.service import Service as GraphService
from app.graphql.service import open_service
from app.modes.probes import application, probe_routes
from app.modes.serving import http, run_services, signalled
from app.rest.downloads import DownloadDoor
from app.rest.events import EventDoor
from app.rest.sessions import SessionDoor
from app.runtime import EVERYTHING, Runtime, open_runtime
from app.tenants.authentication import Authenticator, open_authenticator

NEEDS: Final = EVERYTHING


async def run(settings: Settings) -> None:
    """Serve until signalled."""
    with signalled(settings) as stop:
        async with open_runtime(settings, needs=NEEDS) as runtime, served(runtime) as app:
            host, port = settings.server.host, settings.server.port
            await run_services(
                http(app, host=host, port=port, settings=settings), stop=stop, settings=settings
            )


@asynccontextmanager
async def served(runtime: Runtime, *, mode: Mode = "api") -> AsyncIterator[ASGIApp]:
    """The application, with what it does in the background, while the block lasts."""
    async with (
        open_authenticator(runtime.settings, runtime.clock) as authenticator,
        open_service(runtime, authenticator) as graph,
    ):
        yield application(runtime, routes(runtime, authenticator, graph, mode=mode))


def routes(
    runtime: Runtime, authenticator: Authenticator, graph: GraphService, *, mode: Mode
) -> list[BaseRoute]:
    """What is served, the most asked for first."""
    settings, clock = runtime.settings, runtime.clock
    return [
        *EventDoor(runtime, authenticator).routes(),
        *endpoint.routes(graph),
        *DownloadDoor(runtime, authenticator).routes(),
        *SessionDoor(settings, clock, authenticator).routes(),
        *probe_routes(runtime, needs=NEEDS, mode=mode),
    ]
