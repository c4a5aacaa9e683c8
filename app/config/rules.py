"""What the types of the settings cannot say: formats, and settings that depend on each other."""

import re
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from app.config.settings import DEVELOPMENT_SECRET, Settings
from app.config.wrong import variable

_SHORTEST_SECRET = 32


def broken_rules(settings: Settings) -> Iterator[str]:
    """One line per rule that the settings break."""
    yield from _secrets(settings)
    yield from _urls(settings)
    yield from _formats(settings)
    yield from _pairs(settings)


def _secrets(settings: Settings) -> Iterator[str]:
    if settings.deployment.mode == "local":
        return
    for section, key, secret in (
        ("auth", "jwt_secret", settings.auth.jwt_secret),
        ("secrets", "encryption_key", settings.secrets.encryption_key),
    ):
        fix = f"Set {variable(section, key)} to 32 or more random characters"
        if secret == DEVELOPMENT_SECRET:
            yield (
                f"{section}.{key} is the development secret, which is for local mode only. "
                f"{fix}, such as `openssl rand -hex 32` prints."
            )
        elif len(secret) < _SHORTEST_SECRET:
            yield f"{section}.{key} has {len(secret)} characters. {fix}."


def _urls(settings: Settings) -> Iterator[str]:
    http = ("http", "https")
    for section, key, value, schemes in (
        ("server", "public_url", settings.server.public_url, http),
        ("postgres", "url", settings.postgres.url, ("postgres", "postgresql")),
        ("postgres", "owner_url", settings.postgres.owner_url, ("postgres", "postgresql")),
        ("clickhouse", "url", settings.clickhouse.url, http),
        ("temporal", "ui_url", settings.temporal.ui_url, http),
        ("s3", "endpoint_url", settings.s3.endpoint_url, (*http, "aws")),
        ("email", "smtp_url", settings.email.smtp_url, ("smtp", "smtps")),
        ("sentry", "dsn", settings.sentry.dsn, http),
        ("pyroscope", "address", settings.pyroscope.address, http),
    ):
        # The value may hold a password, so it is not shown.
        if value and value != "aws" and urlsplit(value).scheme not in schemes:
            right = " or ".join("aws" if s == "aws" else f"{s}://…" for s in schemes)
            yield f"{section}.{key} ({variable(section, key)}) must start with {right}."


def _formats(settings: Settings) -> Iterator[str]:
    for broker in settings.kafka.brokers:
        if not re.fullmatch(r"\S+:\d{1,5}", broker):
            yield (
                f"kafka.brokers holds {broker!r}; each must be host:port, such as kafka:9092 "
                "(TARIFF_KAFKA_BROKERS, separated by commas)."
            )
    if settings.temporal.address and not re.fullmatch(r"\S+:\d{1,5}", settings.temporal.address):
        yield (
            f"temporal.address is {settings.temporal.address!r}; it must be host:port, such as "
            "temporal:7233, without http:// (TARIFF_TEMPORAL_ADDRESS)."
        )
    if not all(re.fullmatch(r"[0-9a-f]{64}", key) for key in settings.auth.system_keys):
        yield (
            "auth.system_keys must hold the SHA-256 of each key as 64 hex digits, not the keys "
            "(TARIFF_AUTH_SYSTEM_KEYS): `printf %s KEY | sha256sum`."
        )
    if not _is_instant(settings.ingest.oldest_timestamp):
        yield (
            f"ingest.oldest_timestamp is {settings.ingest.oldest_timestamp!r}; it must be an "
            "instant with a zone, such as 2000-01-01T00:00:00Z (TARIFF_INGEST_OLDEST_TIMESTAMP)."
        )


def _pairs(settings: Settings) -> Iterator[str]:
    if settings.postgres.pool_min > settings.postgres.pool_max:
        yield (
            f"postgres.pool_min ({settings.postgres.pool_min}) is above postgres.pool_max "
            f"({settings.postgres.pool_max}); lower TARIFF_POSTGRES_POOL_MIN or raise "
            "TARIFF_POSTGRES_POOL_MAX."
        )
    if settings.kafka.security.startswith("SASL") and not settings.kafka.sasl_user:
        yield (
            f"kafka.security is {settings.kafka.security}, which needs kafka.sasl_user and "
            "kafka.sasl_password (TARIFF_KAFKA_SASL_USER, TARIFF_KAFKA_SASL_PASSWORD)."
        )
    if bool(settings.s3.access_key) != bool(settings.s3.secret_key):
        yield (
            "s3.access_key and s3.secret_key go together: set both (TARIFF_S3_ACCESS_KEY, "
            "TARIFF_S3_SECRET_KEY), or neither to use the machine's own role."
        )
    if settings.ingest.max_event_bytes > settings.kafka.max_batch_bytes // 2:
        yield (
            f"ingest.max_event_bytes ({settings.ingest.max_event_bytes}) must be at most half of "
            f"kafka.max_batch_bytes ({settings.kafka.max_batch_bytes}), or the largest events "
            "would never be acknowledged; lower TARIFF_INGEST_MAX_EVENT_BYTES or raise "
            "TARIFF_KAFKA_MAX_BATCH_BYTES."
        )
    one, two = settings.event_processing, settings.event_processing_lazy
    if one.topic == two.topic or one.group == two.group:
        yield (
            "event_processing and event_processing_lazy must read different topics in different "
            f"groups; both say topic {two.topic!r} or group {two.group!r} "
            "(TARIFF_EVENT_PROCESSING_LAZY_TOPIC, TARIFF_EVENT_PROCESSING_LAZY_GROUP)."
        )


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
