"""Every setting the program reads: typed, frozen, its unit in its name.

Precedence: the defaults of `settings`, then config.yaml (where `${VAR:default}` takes VAR from
the environment), then `TARIFF_<SECTION>_<KEY>`. Unknown names are refused, wrong values are
named together with what would be right, and secrets are never printed. A server whose address
is empty is started by us in `local` mode and is an error in every other mode.
"""

from app.config.load import load, require_servers, variables
from app.config.settings import (
    DEVELOPMENT_SECRET,
    S3,
    Auth,
    Billing,
    Cache,
    ClickHouse,
    Deployment,
    Email,
    EnvAccess,
    EventProcessing,
    EventProcessingLazy,
    FeatureFlags,
    Ingest,
    Kafka,
    Logging,
    Mode,
    Postgres,
    Pyroscope,
    RateLimits,
    Secrets,
    Sentry,
    Server,
    Settings,
    Temporal,
    Webhook,
    addresses,
)
from app.config.wrong import ConfigError

__all__ = [
    "DEVELOPMENT_SECRET",
    "S3",
    "Auth",
    "Billing",
    "Cache",
    "ClickHouse",
    "ConfigError",
    "Deployment",
    "Email",
    "EnvAccess",
    "EventProcessing",
    "EventProcessingLazy",
    "FeatureFlags",
    "Ingest",
    "Kafka",
    "Logging",
    "Mode",
    "Postgres",
    "Pyroscope",
    "RateLimits",
    "Secrets",
    "Sentry",
    "Server",
    "Settings",
    "Temporal",
    "Webhook",
    "addresses",
    "load",
    "require_servers",
    "variables",
]
