#!/bin/bash
# Runs once, when the volume is empty. Three roles beside the superuser:
#
#   tariff_owner  owns the tables; used by `tariff migrate` alone
#   tariff_app    owns nothing, so that row-level security binds it; used by every mode
#   temporal      owns Temporal's two databases
#
# The migrations give tariff_app its rights on the tables.
set -euo pipefail

psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=owner_password="$POSTGRES_OWNER_PASSWORD" \
    --set=app_password="$POSTGRES_APP_PASSWORD" \
    --set=temporal_password="$POSTGRES_TEMPORAL_PASSWORD" <<'SQL'
CREATE ROLE tariff_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS
    PASSWORD :'owner_password';
CREATE ROLE tariff_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS
    PASSWORD :'app_password';
-- Temporal's setup makes its own databases.
CREATE ROLE temporal LOGIN NOSUPERUSER CREATEDB NOCREATEROLE PASSWORD :'temporal_password';

CREATE DATABASE tariff OWNER tariff_owner ENCODING 'UTF8' LOCALE_PROVIDER builtin
    BUILTIN_LOCALE 'C.UTF-8' TEMPLATE template0;
REVOKE ALL ON DATABASE tariff FROM PUBLIC;
GRANT CONNECT ON DATABASE tariff TO tariff_app;

\connect tariff
ALTER SCHEMA public OWNER TO tariff_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
