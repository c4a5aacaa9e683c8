"""ClickHouse's HTTP interface in front of the ClickHouse engine that chdb embeds.

A process of its own (`python -m app.embedded.clickhouse`), because one process owns a data
directory. Clients speak to it as to a server: the same code runs against a real one.
"""
