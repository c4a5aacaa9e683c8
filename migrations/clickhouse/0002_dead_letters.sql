-- What the consumers could not handle, with where it came from and what was wrong with it.
--
-- A letter that is replayed gets a second row with a higher `version`, which replaces the first.
-- `value` is text, or base64 where the bytes are no UTF-8.
CREATE TABLE IF NOT EXISTS dead_letters
(
    tenant_id LowCardinality(String),
    environment_id LowCardinality(String),
    id String,
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64,
    reason LowCardinality(String),
    error String CODEC(ZSTD(3)),
    value String CODEC(ZSTD(3)),
    encoding Enum8('text' = 1, 'base64' = 2),
    failed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    status Enum8('open' = 1, 'replayed' = 2),
    changed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    version UInt8
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, environment_id, id)
SETTINGS non_replicated_deduplication_window = 1000;
