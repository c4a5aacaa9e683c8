"""ClickHouse: our HTTP interface over chdb's engine, with a password."""

import sys
from importlib.util import find_spec

from app.embedded.directory import HOST, Directory
from app.embedded.environment import of_a_python_server
from app.embedded.errors import NotInstalled
from app.embedded.readiness import http_status
from app.embedded.supervised import Program

USER = "default"


def url(directory: Directory) -> str:
    """Where the interface answers."""
    return f"http://{HOST}:{directory.port('clickhouse')}"


def password(directory: Directory) -> str:
    """The password of `USER`."""
    return directory.secret("clickhouse")


def program(directory: Directory) -> Program:
    """ClickHouse over `directory`. Raises: NotInstalled."""
    if find_spec("chdb") is None:
        raise NotInstalled("ClickHouse", "chdb", "TARIFF_CLICKHOUSE_URL")
    port, data = directory.port("clickhouse"), directory.folder("clickhouse")

    async def ready() -> bool:
        return await http_status(port, "/ping") == 200

    return Program(
        name="clickhouse",
        argv=(
            *(sys.executable, "-m", "app.embedded.clickhouse"),
            *("--data-dir", str(data), "--port", str(port)),
        ),
        ready=ready,
        environ=of_a_python_server(CLICKHOUSE_PASSWORD=password(directory)),
        stop_seconds=8.0,
    )
