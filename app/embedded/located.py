"""The settings with the address of everything that the stack starts."""

import msgspec

from app.config import (
    DEVELOPMENT_SECRET,
    S3,
    ClickHouse,
    Kafka,
    Postgres,
    Server,
    Settings,
    Temporal,
)
from app.embedded.directory import HOST, ApiAddress, Directory
from app.embedded.servers import clickhouse, kafka, postgres, s3, temporal

_replace = msgspec.structs.replace


def located(given: Settings, directory: Directory) -> Settings:
    """`given`, with the addresses of what it leaves to us and the secrets of `directory`.

    What is configured stays: the address of a server, and any secret but the development one.
    """
    return _replace(
        given,
        postgres=_postgres(given.postgres, directory),
        clickhouse=_clickhouse(given.clickhouse, directory),
        kafka=_kafka(given.kafka, directory),
        temporal=_temporal(given.temporal, directory),
        s3=_s3(given.s3, directory),
        auth=_replace(given.auth, jwt_secret=_secret(given.auth.jwt_secret, directory, "jwt")),
        secrets=_replace(
            given.secrets,
            encryption_key=_secret(given.secrets.encryption_key, directory, "encryption"),
        ),
    )


def with_api(given: Settings, address: ApiAddress | None) -> Settings:
    """`given`, with the API at `address` (where it is, when None), and links that lead there.

    A `server.public_url` that is configured stays.
    """
    if address is None:
        return given
    server = _replace(given.server, host=address.host, port=address.port)
    return _replace(given, server=_replace(server, public_url=server.public_url or api_url(server)))


def api_url(server: Server) -> str:
    """Where this machine reaches the API that `server` configures; ends without a slash."""
    everywhere = server.host in ("", "0.0.0.0", "::")  # noqa: S104 - to compare, not to listen
    host = HOST if everywhere else f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}"


def _postgres(given: Postgres, directory: Directory) -> Postgres:
    if given.url:
        return given
    return _replace(
        given,
        url=postgres.url(directory, postgres.APPLICATION),
        owner_url=postgres.url(directory, postgres.OWNER),
    )


def _clickhouse(given: ClickHouse, directory: Directory) -> ClickHouse:
    if given.url:
        return given
    return _replace(
        given,
        url=clickhouse.url(directory),
        user=clickhouse.USER,
        password=clickhouse.password(directory),
    )


def _kafka(given: Kafka, directory: Directory) -> Kafka:
    if given.brokers:
        return given
    return _replace(given, brokers=kafka.brokers(directory), idempotent=False)


def _temporal(given: Temporal, directory: Directory) -> Temporal:
    if given.address:
        return given
    return _replace(given, address=temporal.address(directory), ui_url=temporal.ui_url(directory))


def _s3(given: S3, directory: Directory) -> S3:
    if given.endpoint_url:
        return given
    access_key, secret_key = s3.keys(directory)
    return _replace(
        given, endpoint_url=s3.url(directory), access_key=access_key, secret_key=secret_key
    )


def _secret(given: str, directory: Directory, name: str) -> str:
    return directory.secret(name) if given == DEVELOPMENT_SECRET else given
