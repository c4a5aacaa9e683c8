"""The settings as types: what there is, what is allowed, and the default. config.yaml says why."""

from typing import Annotated, Any, Literal, get_type_hints

from msgspec import Meta, Struct

Mode = Literal["local", "api", "consumer", "temporal_worker"]
PositiveInt = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Share = Annotated[float, Meta(ge=0, le=1)]
# Never printed: not in a repr, not in an error, not in a log.
Secret = Annotated[str, Meta(extra={"secret": True})]
SecretList = Annotated[list[str], Meta(extra={"secret": True})]

DEVELOPMENT_SECRET = "development-only-secret-change-me!"  # noqa: S105 - refused outside local


def is_secret(kind: Any) -> bool:
    """Whether values of a setting of this type must never be shown."""
    metadata = getattr(kind, "__metadata__", ())
    return any(isinstance(m, Meta) and (m.extra or {}).get("secret") for m in metadata)


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the file. Its repr shows `…` for every secret that is set."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # msgspec has one of its own, with which rich would print secrets in tracebacks.
        kinds = get_type_hints(type(self), include_extras=True)
        values = [(key, getattr(self, key), kind) for key, kind in kinds.items()]
        return [(k, "…" if value and is_secret(kind) else repr(value)) for k, value, kind in values]


class Deployment(Section, frozen=True):
    mode: Mode = "local"
    name: str = "tariff"  # names the deployment in logs, metrics and Sentry
    shutdown_seconds: Seconds = 10.0


class Server(Section, frozen=True):
    host: str = "127.0.0.1"
    port: Port = 8080
    metrics_port: Port = 0  # /health, /ready and /metrics of consumer and temporal_worker; 0: any
    public_url: str = ""  # as customers reach it; for links in answers
    max_body_bytes: PositiveInt = 33_554_432
    request_seconds: Seconds = 30.0
    allowed_origins: list[str] = []
    graphiql: bool = True
    introspection: bool = True


class Auth(Section, frozen=True):
    jwt_secret: Secret = DEVELOPMENT_SECRET  # at least 32 characters
    issuer: str = "tariff"
    access_token_seconds: PositiveInt = 900
    refresh_token_seconds: PositiveInt = 2_592_000
    signup_enabled: bool = True
    system_keys: SecretList = []  # SHA-256 (hex) of keys that administer across tenants
    key_cache_seconds: Share = 0.5


class Postgres(Section, frozen=True):
    url: Secret = ""  # the application's role, which owns no table
    owner_url: Secret = ""  # the role that owns the tables; for `tariff migrate` alone
    pool_min: PositiveInt = 2
    pool_max: PositiveInt = 20
    statement_seconds: Seconds = 30.0


class ClickHouse(Section, frozen=True):
    url: str = ""
    database: str = "tariff"
    user: str = "default"
    password: Secret = ""
    query_seconds: Seconds = 30.0
    connections: PositiveInt = 20


class Kafka(Section, frozen=True):
    brokers: list[str] = []
    topic_prefix: str = ""
    partitions: PositiveInt = 4
    replication: PositiveInt = 1
    idempotent: bool = True
    linger_ms: NotNegative = 3
    max_batch_bytes: PositiveInt = 1_048_576
    compression: Literal["none", "gzip", "lz4", "zstd"] = "lz4"
    buffer_bytes: PositiveInt = 67_108_864  # unacknowledged ingest above this answers 503
    ack_seconds: Seconds = 10.0
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_user: str = ""
    sasl_password: Secret = ""


class Temporal(Section, frozen=True):
    address: str = ""
    namespace: str = "default"
    api_key: Secret = ""
    tls: bool = False
    ui_url: str = ""
    task_queue: str = "tariff"


class S3(Section, frozen=True):
    endpoint_url: str = ""  # "aws": Amazon's own endpoint of the region
    region: str = "us-east-1"
    access_key: Secret = ""
    secret_key: Secret = ""
    bucket: str = "tariff"
    presign_seconds: PositiveInt = 3600


class Cache(Section, frozen=True):
    enabled: bool = True
    max_entries: PositiveInt = 100_000
    seconds: Seconds = 5.0


class Webhook(Section, frozen=True):
    enabled: bool = False
    timeout_seconds: Seconds = 15.0
    max_attempts: PositiveInt = 10


class Billing(Section, frozen=True):
    run_interval_seconds: PositiveInt = 60
    chunk_size: PositiveInt = 1000  # subscriptions billed by one activity
    shards: PositiveInt = 4  # how many activities of a run go on side by side
    finalization_delay_seconds: NotNegative = 0  # a draft waits this long for late events
    threshold_interval_seconds: PositiveInt = 300  # between looks at usage that has a threshold
    usage_wait_seconds: Seconds = 60.0  # how long a run waits for accepted events to be counted


class Secrets(Section, frozen=True):
    encryption_key: Secret = DEVELOPMENT_SECRET  # at least 32 characters; encrypts vendor secrets


class Email(Section, frozen=True):
    smtp_url: Secret = ""
    sender: str = ""


class Logging(Section, frozen=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"
    access: bool = True  # one line per HTTP request


class Sentry(Section, frozen=True):
    dsn: Secret = ""
    environment: str = "production"
    traces_sample_rate: Share = 0.0


class Pyroscope(Section, frozen=True):
    address: str = ""
    sample_rate: PositiveInt = 100


class RateLimits(Section, frozen=True):
    ingest_events_per_second: NotNegative = 0  # per environment and API process; 0: no limit
    graphql_cost_per_minute: NotNegative = 0


class Ingest(Section, frozen=True):
    max_events: PositiveInt = 10_000  # of one bulk request
    max_event_bytes: PositiveInt = 65_536
    max_future_seconds: NotNegative = 3600
    oldest_timestamp: str = "2000-01-01T00:00:00Z"


class EventProcessing(Section, frozen=True):
    """One consumer: what it reads and how it batches."""

    enabled: bool = True
    topic: str = "events"
    group: str = "event_processing"
    dlq: str = "events_dlq"
    max_rows: PositiveInt = 100_000
    max_wait_ms: PositiveInt = 500
    rate_limit: NotNegative = 0  # events per second; 0: no limit


class EventProcessingLazy(EventProcessing, frozen=True):
    topic: str = "events_lazy"
    group: str = "event_processing_lazy"
    dlq: str = "events_lazy_dlq"
    tenants: list[str] = []  # ids of tenants whose events take this lane


class FeatureFlags(Section, frozen=True):
    flags: dict[str, bool] = {}


class EnvAccess(Section, frozen=True):
    """Which environments a user may enter: user id → environment ids. Absent: all."""

    users: dict[str, list[str]] = {}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    deployment: Deployment = Deployment()
    server: Server = Server()
    auth: Auth = Auth()
    postgres: Postgres = Postgres()
    clickhouse: ClickHouse = ClickHouse()
    kafka: Kafka = Kafka()
    temporal: Temporal = Temporal()
    s3: S3 = S3()
    cache: Cache = Cache()
    webhook: Webhook = Webhook()
    billing: Billing = Billing()
    secrets: Secrets = Secrets()
    email: Email = Email()
    logging: Logging = Logging()
    sentry: Sentry = Sentry()
    pyroscope: Pyroscope = Pyroscope()
    rate_limits: RateLimits = RateLimits()
    ingest: Ingest = Ingest()
    event_processing: EventProcessing = EventProcessing()
    event_processing_lazy: EventProcessingLazy = EventProcessingLazy()
    feature_flags: FeatureFlags = FeatureFlags()
    env_access: EnvAccess = EnvAccess()

    def __repr__(self) -> str:
        return f"Settings(mode={self.deployment.mode!r})"  # never the secrets

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("mode", self.deployment.mode)]


def addresses(settings: Settings) -> dict[str, str]:
    """The setting that holds each server's address, and its value ("" when not configured)."""
    return {
        "postgres.url": settings.postgres.url,
        "clickhouse.url": settings.clickhouse.url,
        "kafka.brokers": ",".join(settings.kafka.brokers),
        "temporal.address": settings.temporal.address,
        "s3.endpoint_url": settings.s3.endpoint_url,
    }
