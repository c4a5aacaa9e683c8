"""`python -m app.embedded.s3 --data-dir DIR --port N`: serve on 127.0.0.1 until SIGTERM.

The one pair of keys comes from NANIO_ACCESS_KEY and NANIO_SECRET_KEY, not from the command
line, where other users of the machine could read it.
"""

import argparse
import sys
from collections.abc import MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nanio import xml
from nanio.app import build_app
from nanio.config import Settings

from app.embedded.locks import InUse, exclusive
from app.embedded.s3.conditions import Application, Receive, Send, conditional
from app.embedded.s3.storage import AtomicStorage
from app.embedded.serving import serve

_HOST = "127.0.0.1"


def main() -> int:
    """Exit status: 0 after SIGTERM, 1 when the directory is in use, 2 for bad arguments."""
    parser = argparse.ArgumentParser(prog="python -m app.embedded.s3")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    data_dir: Path = arguments.data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with exclusive(data_dir / ".lock", what=f"The S3 data in {data_dir}"):
            _serve(data_dir, arguments.port)
    except InUse as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _serve(data_dir: Path, port: int) -> None:
    # nanio tells times to the second, and the broker takes the youngest of its batches for the
    # last one.
    xml._iso = _precisely
    application = build_app(Settings(data_dir=data_dir, host=_HOST, port=port))
    storage = AtomicStorage(data_dir)
    application.state.storage = storage
    serve(conditional(_noticing_multipart(application, storage)), host=_HOST, port=port)


def _precisely(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _noticing_multipart(application: Application, storage: AtomicStorage) -> Application:
    """nanio completes a multipart upload without the storage: look at the bucket afterwards."""

    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await application(scope, receive, send)
        if scope["type"] == "http" and b"uploadId=" in scope["query_string"]:
            storage.forget(scope["path"].split("/")[1])

    return wrapped


if __name__ == "__main__":
    sys.exit(main())
