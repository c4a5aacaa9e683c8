-- The event store, the identities already accepted, and the metered rows derived from events.

-- One row per accepted event, as sent.
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
    INDEX events_by_id event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX events_by_batch batch TYPE bloom_filter(0.001) GRANULARITY 1,
    CONSTRAINT fields_say_what_properties_say
        CHECK notEmpty(fields) OR match(properties, '^\\s*\\{\\s*\\}\\s*$')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (tenant_id, environment_id, event_name, external_customer_id, toDate(timestamp), event_id)
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

-- One row per event and meter that counts it. The key has the day and not the instant, so that
-- a row derived twice is one row.
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
    ingested_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (tenant_id, environment_id, meter_id, external_customer_id, toDate(timestamp), event_id);
