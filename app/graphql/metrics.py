"""What is measured about GraphQL. Labels are few: never an operation's name or a tenant."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter(
    "tariff_graphql_requests_total",
    "GraphQL operations by kind and outcome: ok, errors (some field failed), refused.",
    ("kind", "outcome"),
)
COST: Final = Histogram(
    "tariff_graphql_cost",
    "Estimated cost of the operations that were run.",
    buckets=(10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000),
)
SOCKETS: Final = Gauge("tariff_graphql_sockets", "WebSockets open now.")
STREAMS: Final = Gauge("tariff_graphql_streams", "Subscriptions being followed now.")
STREAM_GROUPS: Final = Gauge(
    "tariff_graphql_stream_groups", "Groups of identical subscriptions; each is executed once."
)
REPLAYS: Final = Counter(
    "tariff_graphql_idempotent_replays_total",
    "Mutations answered from the stored answer of the same Idempotency-Key.",
)
