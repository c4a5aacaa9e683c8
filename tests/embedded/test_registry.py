"""Commands find the stack that runs, and never one that has ended."""

import argparse

import pytest

from app.cli.settings import command_settings
from app.config import ConfigError
from app.embedded import registry


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


def test_with_several_running_a_command_asks_which(stacks, monkeypatch):
    one, two, alive = stacks
    monkeypatch.setenv("TARIFF_CONFIG", "/dev/null")
    for name in ("POSTGRES_URL", "CLICKHOUSE_URL", "KAFKA_BROKERS"):
        monkeypatch.delenv(f"TARIFF_{name}", raising=False)
    alive |= {one, two}
    with registry.noted(one), registry.noted(two), pytest.raises(ConfigError, match="--data-dir"):
        command_settings(asked())
