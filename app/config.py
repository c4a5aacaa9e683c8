"""Every setting the program reads: typed, frozen, its unit in its name.

Precedence: the defaults here, then config.yaml (where `${VAR:default}` takes VAR from the
environment), then `TARIFF_<SECTION>_<KEY>`. Unknown names are refused, wrong values are
named together with what would be right, and secrets are never printed. A server whose address
is empty is started by us in `local` mode and is an error in every other mode.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
import yaml
from msgspec import Meta, Struct

Mode = Literal["local", "api", "consumer", "temporal_worker"]
PositiveInt = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]

DEVELOPMENT_SECRET = "development-only-secret-change-me!"  # noqa: S105 - refused outside local
PREFIX = "TARIFF_"


class ConfigError(Exception):
    """A setting is missing, unknown or wrong: names the key, the value and the fix."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the file. A field whose name is in `SECRETS` never appears in a repr."""


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
    jwt_secret: str = DEVELOPMENT_SECRET  # at least 32 characters
    issuer: str = "tariff"
    access_token_seconds: PositiveInt = 900
    refresh_token_seconds: PositiveInt = 2_592_000
    signup_enabled: bool = True
    system_keys: list[str] = []  # SHA-256 (hex) of keys that administer across tenants
    key_cache_seconds: Annotated[float, Meta(ge=0, le=1)] = 0.5


class Postgres(Section, frozen=True):
    url: str = ""  # the application's role, which owns no table
    owner_url: str = ""  # the role that owns the tables; for `tariff migrate` alone
    pool_min: PositiveInt = 2
    pool_max: PositiveInt = 20
    statement_seconds: Seconds = 30.0


class ClickHouse(Section, frozen=True):
    url: str = ""
    database: str = "tariff"
    user: str = "default"
    password: str = ""
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
    sasl_password: str = ""


class Temporal(Section, frozen=True):
    address: str = ""
    namespace: str = "default"
    api_key: str = ""
    tls: bool = False
    ui_url: str = ""
    task_queue: str = "tariff"


class S3(Section, frozen=True):
    endpoint_url: str = ""  # "aws": Amazon's own endpoint of the region
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = ""
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
    chunk_size: PositiveInt = 500
    finalization_delay_seconds: NotNegative = 0  # a draft waits this long for late events
    usage_wait_seconds: Seconds = 60.0  # how long a run waits for accepted events to be counted


class Secrets(Section, frozen=True):
    encryption_key: str = DEVELOPMENT_SECRET  # at least 32 characters; encrypts vendor secrets


class Email(Section, frozen=True):
    smtp_url: str = ""
    sender: str = ""


class Logging(Section, frozen=True):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class Sentry(Section, frozen=True):
    dsn: str = ""
    environment: str = "production"
    traces_sample_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0


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


def load(
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
    *,
    mode: Mode | None = None,
) -> Settings:
    """The settings of this process. `mode` given on the command line wins over the file.

    `path` defaults to TARIFF_CONFIG, else ./config.yaml where there is one.
    Raises: ConfigError.
    """
    environ = os.environ if environ is None else environ
    source = path or (Path(environ["TARIFF_CONFIG"]) if "TARIFF_CONFIG" in environ else None)
    tree = _read(source or Path("config.yaml"), environ, required=source is not None)
    _override(tree, environ)
    if mode is not None:
        tree.setdefault("deployment", {})["mode"] = mode
    try:
        settings = msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(str(error), tree)) from None
    _refuse_development_secrets(settings)
    return settings


def require_servers(settings: Settings) -> None:
    """Refuse to start without the address of every server. Raises: ConfigError."""
    missing = [name for name, address in addresses(settings).items() if not address]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: empty, and mode {settings.deployment.mode} starts no servers. "
            f"Set {', '.join(PREFIX + n.upper().replace('.', '_') for n in missing)}, "
            "or use `tariff local`."
        )


def addresses(settings: Settings) -> dict[str, str]:
    """The setting that holds each server's address, and its value ("" when not configured)."""
    return {
        "postgres.url": settings.postgres.url,
        "clickhouse.url": settings.clickhouse.url,
        "kafka.brokers": ",".join(settings.kafka.brokers),
        "temporal.address": settings.temporal.address,
        "s3.endpoint_url": settings.s3.endpoint_url,
    }


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


def _read(path: Path, environ: Mapping[str, str], *, required: bool) -> dict[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{path}: there is no such configuration file") from None
        return {}

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        found = environ.get(name, default)
        if found is None:
            raise ConfigError(f"{path}: ${{{name}}} has no default and {name} is not set")
        return found

    try:
        tree = yaml.safe_load(_REFERENCE.sub(value, text)) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected sections such as `postgres:`, got {tree!r}")
    return {name: section for name, section in tree.items() if section is not None}


def _override(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    known = dict(variables())
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS:
            continue
        if name not in known:
            near = [k for k in known if k.split("_")[1] == name.split("_")[1]][:6]
            raise ConfigError(f"{name} is not a setting. Near it: {', '.join(near) or 'none'}")
        section, key, kind = known[name]
        tree.setdefault(section, {})[key] = _parsed(name, text, kind)


# Read by the program before or beside the settings.
_NOT_SETTINGS = {"TARIFF_CONFIG", "TARIFF_CRASH_AT"}


def variables() -> Iterator[tuple[str, tuple[str, str, Any]]]:
    """Every environment variable that is a setting: name → (section, key, type)."""
    for section, cls in get_type_hints(Settings).items():
        for key, kind in get_type_hints(cls, include_extras=True).items():
            yield f"{PREFIX}{section}_{key}".upper(), (section, key, kind)


def _parsed(name: str, text: str, kind: Any) -> Any:
    base = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if base == list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]
    if base is str or getattr(base, "__origin__", None) is Literal:
        return text
    try:
        return msgspec.convert(yaml.safe_load(text), base, strict=False)
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise ConfigError(f"{name}={text!r}: {error}") from None


def _explained(error: str, tree: Mapping[str, Any]) -> str:
    """msgspec's message with the offending key spelled as in the file, and its value."""
    reason, _, where = error.partition(" - at `$")
    path = where.rstrip("`").lstrip(".")
    value: Any = tree
    for part in filter(None, path.split(".")):
        value = value.get(part) if isinstance(value, Mapping) else None
    if not path:
        return f"config: {reason}"
    shown = "…" if re.search("secret|password|key|url", path) else repr(value)
    return f"{path} = {shown}: {reason}"


def _refuse_development_secrets(settings: Settings) -> None:
    if settings.deployment.mode == "local":
        return
    for name, secret in (
        ("auth.jwt_secret", settings.auth.jwt_secret),
        ("secrets.encryption_key", settings.secrets.encryption_key),
    ):
        variable = PREFIX + name.upper().replace(".", "_")
        if secret == DEVELOPMENT_SECRET:
            raise ConfigError(
                f"{name}: the development secret is for local mode only; set {variable} to "
                "32 or more random characters"
            )
        if len(secret) < 32:
            raise ConfigError(f"{name}: {len(secret)} characters; {variable} needs 32 or more")
