-- The event store, the identities already accepted, and the metered rows derived from events.

-- One row per version of an accepted event: the first is the event as sent, and each correction
-- adds one.
--
-- A version holds from `ingested_at` until before `superseded_at`, which 0 leaves open. When it is
-- superseded its row is written once more with the instant, and replaces the first; so nothing is
-- edited, and what held at any instant can still be read. A version of kind `voided` counts
-- nowhere. `correction_id`, `reason` and `actor` say where a correction came from.
--
-- `properties` is the JSON object byte for byte. `fields` is the same object read once more on
-- insert: every property of its top level as text, numbers with all their digits, null as NULL.
-- A row of JSONEachRow therefore carries the object twice, under both names. The functions that
-- read JSON inside a query go through binary floating point (19 digits become 17, and one number
-- above 1e308 hides the whole document), so nothing may be billed from `properties`.
--
-- `batch` names the insert that brought the row, so that metered rows can be derived from
-- exactly that insert. Copies of one event differ in nothing of the key, and collapse. The keys of
-- the maps are plain strings: a dictionary of them doubles the cost of an insert and saves nothing.
CREATE TABLE IF NOT EXISTS events
(
    tenant_id LowCardinality(String),
    environment_id LowCardinality(String),
    event_id String,
    event_name LowCardinality(String),
    external_customer_id String,
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    source LowCardinality(String),
    properties String CODEC(ZSTD(3)),
    fields Map(String, Nullable(String)),
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    batch LowCardinality(String),
    version UInt32 DEFAULT 1,
    kind Enum8('original' = 1, 'amended' = 2, 'voided' = 3) DEFAULT 'original',
    superseded_at DateTime64(3, 'UTC') DEFAULT 0,
    correction_id String,
    reason String CODEC(ZSTD(3)),
    actor_kind LowCardinality(String),
    actor_id LowCardinality(String),
    INDEX events_by_id event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX events_by_batch batch TYPE bloom_filter(0.001) GRANULARITY 1,
    CONSTRAINT fields_say_what_properties_say
        CHECK notEmpty(fields) OR match(properties, '^\\s*\\{\\s*\\}\\s*$')
)
ENGINE = ReplacingMergeTree(superseded_at)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (
    tenant_id, environment_id, event_name, external_customer_id, toDate(timestamp), event_id, version
)
SETTINGS non_replicated_deduplication_window = 10000;

-- The identities of accepted events: what a later copy is recognized by, whatever its timestamp.
CREATE TABLE IF NOT EXISTS event_ids
(
    tenant_id LowCardinality(String),
    environment_id LowCardinality(String),
    event_id String,
    first_seen DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, environment_id, event_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000;

-- The corrections that count by now. Few events are ever corrected, so this table is small, and
-- says of which versions another has taken the place.
CREATE TABLE IF NOT EXISTS event_corrections
(
    tenant_id LowCardinality(String),
    environment_id LowCardinality(String),
    event_id String,
    correction_id String,
    version UInt32,
    first_seen DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, environment_id, event_id, correction_id)
SETTINGS index_granularity = 1024, non_replicated_deduplication_window = 10000;

-- One row per version of an event and meter that counts it, holding as long as its version does.
-- The key has the day and not the instant, so that a row derived twice is one row.
CREATE TABLE IF NOT EXISTS processed_events
(
    tenant_id LowCardinality(String),
    environment_id LowCardinality(String),
    meter_id LowCardinality(String),
    external_customer_id String,
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    event_id String,
    quantity Decimal(76, 18),
    unique_value String,
    dimensions Map(String, Nullable(String)),
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    version UInt32 DEFAULT 1,
    superseded_at DateTime64(3, 'UTC') DEFAULT 0
)
ENGINE = ReplacingMergeTree(superseded_at)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (
    tenant_id, environment_id, meter_id, external_customer_id, toDate(timestamp), event_id, version
);
