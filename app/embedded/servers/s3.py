"""S3: our server on nanio's protocol. It holds our documents, and the broker's log."""

import sys
from importlib.util import find_spec

from app.embedded.directory import HOST, Directory
from app.embedded.environment import of_a_python_server
from app.embedded.errors import NotInstalled
from app.embedded.readiness import http_status
from app.embedded.supervised import Program

FOLDER = "s3"


def url(directory: Directory) -> str:
    """Where it answers."""
    return f"http://{HOST}:{directory.port('s3')}"


def keys(directory: Directory) -> tuple[str, str]:
    """The access key and the secret key."""
    return directory.secret("s3 access key")[:20], directory.secret("s3 secret key")


def program(directory: Directory) -> Program:
    """S3 over `directory`. Raises: NotInstalled."""
    if find_spec("nanio") is None:
        raise NotInstalled("S3", "nanio", "TARIFF_S3_ENDPOINT_URL")
    port, data = directory.port("s3"), directory.folder(FOLDER)
    access_key, secret_key = keys(directory)

    async def ready() -> bool:
        return await http_status(port, "/") == 403  # it wants a signature

    return Program(
        name="s3",
        argv=(
            *(sys.executable, "-m", "app.embedded.s3"),
            *("--data-dir", str(data), "--port", str(port)),
        ),
        ready=ready,
        environ=of_a_python_server(NANIO_ACCESS_KEY=access_key, NANIO_SECRET_KEY=secret_key),
    )
