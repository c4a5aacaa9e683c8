"""Commands find the stack that runs, and never one that has ended."""

import argparse

import pytest

from app.cli import events, migrate
from app.cli.settings import command_settings
from app.config import ConfigError, Settings
from app.embedded import registry
from app.embedded.directory import ApiAddress, held
from app.embedded.stack import beside


@pytest.fixture
def stacks(tmp_path, monkeypatch):
    """Two data directories, and the set of those whose stack runs."""
    # Real stacks take seconds each, and other tests start them; here only the choice matters.
    monkeypatch.setattr(registry, "_FOLDER", tmp_path / "state")
    alive = set()
    monkeypatch.setattr("app.embedded.leftovers.runs", lambda d: d.path in alive)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    return one, two, alive


@pytest.fixture
def bare(monkeypatch):
    """No server is configured."""
    monkeypatch.setenv("TARIFF_CONFIG", "/dev/null")
    for name in ("POSTGRES_URL", "CLICKHOUSE_URL", "KAFKA_BROKERS"):
        monkeypatch.delenv(f"TARIFF_{name}", raising=False)


def asked(**given):
    return argparse.Namespace(config=None, **{"data_dir": None} | given)


def test_a_stack_is_noted_while_it_runs(stacks):
    one, two, alive = stacks
    alive |= {one, two}
    with registry.noted(one), registry.noted(two):
        assert sorted(registry.running()) == [one, two]
    assert registry.running() == []


def test_the_note_of_a_stack_that_was_killed_is_passed_over_and_removed(stacks):
    one, _, alive = stacks
    with registry.noted(one):
        assert registry.running() == []
        alive.add(one)
        assert registry.running() == []


@pytest.mark.usefixtures("bare")
def test_with_several_running_a_command_asks_which(stacks):
    one, two, alive = stacks
    alive |= {one, two}
    with registry.noted(one), registry.noted(two), pytest.raises(ConfigError, match="--data-dir"):
        command_settings(asked())


@pytest.mark.usefixtures("bare")
def test_events_with_a_url_need_no_choice_among_several_stacks(stacks):
    one, two, alive = stacks
    alive |= {one, two}
    with registry.noted(one), registry.noted(two):
        assert events._url(asked(url="http://example.test:1")) == "http://example.test:1"
        with pytest.raises(ConfigError, match="--data-dir"):
            events._url(asked(url=None))


@pytest.mark.usefixtures("bare")
def test_events_go_to_the_port_that_the_stack_was_started_with(stacks):
    one, _, alive = stacks
    alive.add(one)
    with held(one) as directory:
        directory.record_api(ApiAddress("::", 9123))
        assert events._url(asked(url=None, data_dir=one)) == "http://127.0.0.1:9123"
        server = beside(Settings(), one).server
        assert (server.port, server.public_url) == (9123, "http://127.0.0.1:9123")
        directory.record_api(None)
        assert beside(Settings(), one).server == Settings().server


@pytest.mark.usefixtures("bare")
def test_migrating_finds_the_stack_but_goes_back_only_in_one_that_is_named(stacks):
    one, _, alive = stacks
    alive.add(one)
    with registry.noted(one):
        found = migrate._settings(asked(direction="up"))
        assert found.postgres == beside(Settings(), one).postgres
        assert migrate._settings(asked(direction="down")).postgres.url == ""
        named = migrate._settings(asked(direction="down", data_dir=one))
        assert named.postgres == found.postgres
