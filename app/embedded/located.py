"""The settings with the address of everything that the stack starts."""

import msgspec

from app.config import DEVELOPMENT_SECRET, S3, ClickHouse, Kafka, Postgres, Settings, Temporal
from app.embedded.directory import Directory
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
