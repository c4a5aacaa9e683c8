"""Settings: what is wrong is named with its key, value and fix, and secrets are never shown."""

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from app.config import (
    DEVELOPMENT_SECRET,
    ConfigError,
    Settings,
    addresses,
    load,
    require_servers,
    variables,
)
from app.config.settings import is_secret
from app.config.wrong import expected
from tests.configuration_table import PAGE, ROOT, comments, parts, tables

SECRETS = {
    "TARIFF_AUTH_JWT_SECRET": "j" * 32,
    "TARIFF_SECRETS_ENCRYPTION_KEY": "e" * 32,
}


def refused(environ: dict[str, str], text: str | None = None, tmp_path: Path | None = None) -> str:
    path = None
    if text is not None and tmp_path is not None:
        path = tmp_path / "config.yaml"
        path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(environ, path or Path("/dev/null"))
    return str(error.value)


def from_file(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    (tmp_path / "config.yaml").write_text(text)
    return load(environ or {}, tmp_path / "config.yaml")


def test_the_file_in_the_repository_says_exactly_the_defaults() -> None:
    assert load({}, ROOT / "config.yaml") == Settings()


def test_the_file_in_the_repository_names_and_explains_every_setting() -> None:
    tree = yaml.safe_load((ROOT / "config.yaml").read_text())
    named = [(section, key) for section, keys in tree.items() for key in keys]
    assert named == [(section, key) for _, (section, key, _) in variables()]
    assert list(comments()) == named


def test_the_page_of_settings_is_what_the_types_say() -> None:
    _, shown, _ = parts(PAGE.read_text())
    assert shown == f"\n{tables()}\n", "run: python -m tests.configuration_table"


def test_every_variable_means_one_setting() -> None:
    names = [name for name, _ in variables()]
    assert len(names) == len(set(names))


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    text = "server: {port: 1}\ndeployment: {mode: local}"
    (tmp_path / "config.yaml").write_text(text)
    path = tmp_path / "config.yaml"
    assert load({}, path).server.port == 1
    assert load({"TARIFF_SERVER_PORT": "2"}, path).server.port == 2
    third = load({"TARIFF_SERVER_PORT": "2"}, path, overrides={("server", "port"): 3})
    assert third.server.port == 3
    assert load(SECRETS, path, mode="consumer").deployment.mode == "consumer"


def test_a_file_takes_variables_with_defaults_whatever_characters_they_hold(
    tmp_path: Path,
) -> None:
    text = (
        "clickhouse: {password: '${CH_PASSWORD:}'}\n"
        "kafka:\n  brokers: ${BROKERS:one:9092,two:9092}\n"
        "server:\n  port: ${PORT:8081}\n  public_url: https://${HOST:localhost}/x\n"
    )
    hard = "a: b # 'c' \"d\" {e} 0123"
    settings = from_file(tmp_path, text, {"CH_PASSWORD": hard, "HOST": "billing.example.com"})
    assert settings.clickhouse.password == hard
    assert settings.kafka.brokers == ["one:9092", "two:9092"]
    assert settings.server.port == 8081
    assert settings.server.public_url == "https://billing.example.com/x"


def test_a_variable_without_default_that_is_not_set_is_named(tmp_path: Path) -> None:
    message = refused({}, "clickhouse:\n  password: ${CH_PASSWORD}", tmp_path)
    assert message == (
        f"{tmp_path}/config.yaml says ${{CH_PASSWORD}} without a default, and CH_PASSWORD is not "
        "set. Set it, or write ${CH_PASSWORD:default}."
    )


def test_an_empty_variable_means_not_set_for_anything_but_text() -> None:
    settings = load(
        {"TARIFF_SERVER_PORT": "", "TARIFF_KAFKA_BROKERS": "", "TARIFF_DEPLOYMENT_NAME": ""},
        Path("/dev/null"),
    )
    assert (settings.server.port, settings.kafka.brokers) == (8080, [])
    assert settings.deployment.name == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("yes", True), ("off", False)],
)
def test_switches_are_read_from_words(text: str, value: bool) -> None:
    assert load({"TARIFF_SERVER_GRAPHIQL": text}, Path("/dev/null")).server.graphiql is value


def wrong_text(kind: Any) -> str:
    """A text that no setting of this type accepts."""
    text = expected(kind)
    if text.startswith(("a whole number", "a number", "true")):
        return "banana"
    return "banana, kiwi" if text.startswith("a map") else "banana"


@pytest.mark.parametrize(
    ("name", "section", "key", "kind"),
    [(name, *rest) for name, rest in variables() if expected(rest[2])[:4] not in ("text", "a li")],
)
def test_a_wrong_value_is_named_with_its_key_value_and_fix(
    name: str, section: str, key: str, kind: Any
) -> None:
    message = refused({name: wrong_text(kind)})
    assert message == (
        f"{section}.{key} is {wrong_text(kind)!r} in {name}: it must be {expected(kind)}. "
        "Correct it there."
    )


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("TARIFF_POSTGRES_POOL_MIN", "0", "a whole number of at least 1"),
        ("TARIFF_POSTGRES_POOL_MIN", "1.5", "a whole number of at least 1"),
        ("TARIFF_SERVER_PORT", "65536", "a whole number from 0 to 65535"),
        ("TARIFF_SERVER_PORT", "-1", "a whole number from 0 to 65535"),
        ("TARIFF_SERVER_REQUEST_SECONDS", "0", "a number above 0"),
        ("TARIFF_SERVER_REQUEST_SECONDS", ".inf", "a number above 0"),
        ("TARIFF_SERVER_REQUEST_SECONDS", ".nan", "a number above 0"),
        ("TARIFF_AUTH_KEY_CACHE_SECONDS", "1.1", "a number from 0 to 1"),
        ("TARIFF_LOGGING_LEVEL", "info", "one of DEBUG, INFO, WARNING, ERROR"),
        ("TARIFF_FEATURE_FLAGS_FLAGS", "{a: maybe}", "a map such as {name: true}"),
    ],
)
def test_a_value_out_of_bounds_is_refused(name: str, value: str, right: str) -> None:
    assert f"is {value!r} in {name}: it must be {right}." in refused({name: value})


def test_a_number_where_text_is_wanted_says_to_quote_it(tmp_path: Path) -> None:
    message = refused({}, "kafka: {topic_prefix: 12}", tmp_path)
    assert "kafka.topic_prefix is 12 in" in message
    assert "it must be text; put it in quotes." in message


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    message = refused(
        {"TARIFF_SERVER_PORT": "x", "TARIFF_NOPE": "1"}, "servr: {}\nkafka: {broker: 1}", tmp_path
    )
    assert [line.split()[0] for line in message.splitlines()] == [
        "servr",
        "broker",
        "TARIFF_NOPE",
        "server.port",
    ]


def test_an_unknown_variable_is_refused_with_what_it_may_have_meant() -> None:
    message = refused({"TARIFF_POSTGRES_URI": "x"})
    assert message.startswith("TARIFF_POSTGRES_URI in the environment is not a setting.")
    assert "Did you mean TARIFF_POSTGRES_URL" in message


def test_an_unknown_section_and_key_are_refused_with_what_they_may_have_meant(
    tmp_path: Path,
) -> None:
    message = refused({}, "postgress: {url: x}", tmp_path)
    assert message.endswith("is not a section. Did you mean postgres?")
    message = refused({}, "kafka: {partition: 4}", tmp_path)
    assert f"partition in section kafka of {tmp_path}/config.yaml is not a setting." in message
    assert "Did you mean partitions or replication?" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "expected sections such as"),
        ("server: [1]", "server in"),
        ("server: {port: 1", "not YAML"),
        ("server: {port: 1}\nserver: {port: 2}", "'server' is given twice"),
        ("server: {port: 1, port: 2}", "'port' is given twice"),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused({}, text, tmp_path)


def test_a_file_that_was_asked_for_and_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="there is no such configuration file"):
        load({"TARIFF_CONFIG": "/nowhere/config.yaml"})


@pytest.mark.parametrize("mode", ["api", "consumer", "temporal_worker"])
def test_development_secrets_are_refused_outside_local_mode(mode: Any) -> None:
    assert load({}, Path("/dev/null"), mode="local").auth.jwt_secret == DEVELOPMENT_SECRET
    with pytest.raises(ConfigError) as error:
        load({}, Path("/dev/null"), mode=mode)
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == ["auth.jwt_secret", "secrets.encryption_key"]
    assert "TARIFF_AUTH_JWT_SECRET" in lines[0]
    assert "openssl rand -hex 32" in lines[0]


def test_a_short_secret_is_refused_without_showing_it() -> None:
    message = refused(
        SECRETS | {"TARIFF_AUTH_JWT_SECRET": "hunter2", "TARIFF_DEPLOYMENT_MODE": "api"}
    )
    assert "auth.jwt_secret has 7 characters" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TARIFF_POSTGRES_URL": "mysql://u:hunter2@h/d"}, "must start with postgres://…"),
        ({"TARIFF_S3_ENDPOINT_URL": "minio:9000"}, "must start with http://… or https://… or aws"),
        ({"TARIFF_KAFKA_BROKERS": "kafka"}, "each must be host:port"),
        ({"TARIFF_TEMPORAL_ADDRESS": "http://t"}, "it must be host:port"),
        ({"TARIFF_AUTH_SYSTEM_KEYS": "hunter2"}, "SHA-256 of each key as 64 hex digits"),
        ({"TARIFF_INGEST_OLDEST_TIMESTAMP": "2000-01-01"}, "an instant with a zone"),
        ({"TARIFF_POSTGRES_POOL_MIN": "30"}, "postgres.pool_min (30) is above postgres.pool_max"),
        ({"TARIFF_KAFKA_SECURITY": "SASL_SSL"}, "needs kafka.sasl_user"),
        ({"TARIFF_INGEST_MAX_EVENT_BYTES": "1000000"}, "would never be acknowledged"),
        ({"TARIFF_S3_ACCESS_KEY": "hunter2"}, "s3.access_key and s3.secret_key go together"),
        ({"TARIFF_EVENT_PROCESSING_LAZY_TOPIC": "events"}, "must read different topics"),
    ],
)
def test_settings_that_do_not_fit_their_format_or_each_other_are_refused(
    environ: dict[str, str], said: str
) -> None:
    message = refused(environ)
    assert said in message
    assert "hunter2" not in message
    assert re.search(r"TARIFF_[A-Z_]+", message), "names the variable that fixes it"


def test_secrets_are_in_no_repr() -> None:
    kinds = {name: rest for name, rest in variables() if is_secret(rest[2])}
    assert {f"{section}.{key}" for section, key, _ in kinds.values()} == {
        "auth.jwt_secret",
        "auth.system_keys",
        "postgres.url",
        "postgres.owner_url",
        "clickhouse.password",
        "kafka.sasl_password",
        "temporal.api_key",
        "s3.access_key",
        "s3.secret_key",
        "secrets.encryption_key",
        "email.smtp_url",
        "sentry.dsn",
    }
    for name, (section, key, _) in kinds.items():
        cls = get_type_hints(Settings)[section]
        shown = repr(cls(**{key: ["hunter2"] if key == "system_keys" else "hunter2"}))
        assert "hunter2" not in shown, name
        assert f"{key}=…" in shown
        assert "hunter2" not in str(cls(**{key: "hunter2"}).__rich_repr__())
    settings = load(SECRETS, Path("/dev/null"), mode="api")
    assert "jjjj" not in repr(settings)
    assert "jjjj" not in str(settings.auth)


def test_a_wrong_secret_is_not_shown_in_the_error(tmp_path: Path) -> None:
    message = refused({}, "postgres: {url: [hunter2]}", tmp_path)
    assert "postgres.url is (not shown) in" in message
    assert "hunter2" not in message


def test_a_mode_without_its_servers_says_which_and_how() -> None:
    settings = load(SECRETS | {"TARIFF_KAFKA_BROKERS": "k:9092"}, Path("/dev/null"), mode="api")
    with pytest.raises(ConfigError) as error:
        require_servers(settings)
    assert str(error.value) == (
        "postgres.url, clickhouse.url, temporal.address, s3.endpoint_url: empty, and mode api "
        "starts no servers. Set TARIFF_POSTGRES_URL, TARIFF_CLICKHOUSE_URL, "
        "TARIFF_TEMPORAL_ADDRESS, TARIFF_S3_ENDPOINT_URL, or use `tariff local`."
    )
    assert addresses(settings)["kafka.brokers"] == "k:9092"
