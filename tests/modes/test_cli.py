"""The command line: help for everything, exit codes, and one sentence for what goes wrong."""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from app.cli.parser import MODES, parser
from app.config import Settings
from app.infra.clickhouse import ClickHouse
from app.infra.clickhouse_migrations import pending
from tests.modes.conftest import Tariff
from tests.processes import free_port

COMMANDS = (*MODES, "migrate", "doctor", "demo", "schema", "keys", "events", "bench")


def walked(
    command: argparse.ArgumentParser, name: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A command and every command under it, by its words."""
    yield name, command
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, under in action.choices.items():
                yield from walked(under, f"{name} {word}")


EVERY = dict(walked(parser(), "tariff"))


def test_these_are_the_commands() -> None:
    [action] = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    assert tuple(action.choices) == COMMANDS


@pytest.mark.parametrize("name", EVERY)
def test_every_command_and_every_option_is_described(name: str) -> None:
    command = EVERY[name]
    assert command.description
    for action in command._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action
    leads_on = any(isinstance(a, argparse._SubParsersAction) for a in command._actions)
    assert leads_on or "examples:" in (command.epilog or "")


@pytest.mark.parametrize("name", [name for name in EVERY if name != "tariff"])
def test_the_examples_in_the_help_are_understood(name: str) -> None:
    examples = re.findall(r"^  (?:\w+=\S+ )?tariff ([^>\n]+)", EVERY[name].epilog or "", re.M)
    for example in examples:
        assert parser().parse_args(example.split()).command == name.split()[1]


def test_help_is_printed_at_once_and_imports_nothing_of_the_product() -> None:
    program = (
        "import sys\n"
        "from app.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'app.config', 'asyncio', 'yaml', 'structlog', 'tortoise', 'strawberry'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert re.search(rf"^    {name}\b", done.stdout, re.M), name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["apx"], "invalid choice: 'apx'"),
        (["api", "--port", "70000"], "'70000' is not a port from 0 to 65535"),
        (["api", "--nope"], "unrecognized arguments: --nope"),
        (["keys"], "the following arguments are required: VERB"),
        (["keys", "create"], "the following arguments are required: --tenant"),
        (["migrate", "sideways"], "invalid choice: 'sideways'"),
    ],
)
def test_a_command_line_that_is_not_understood_exits_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args(arguments)
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_the_data_of_a_demo_is_said_to_be_temporary() -> None:
    said = " ".join(EVERY["tariff demo"].format_help().split())
    assert "(default: a temporary directory that is removed when the demo ends)" in said


def test_an_interrupt_during_the_imports_ends_the_program_quietly(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        # A shell starts what runs in the background deaf to it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'app.config': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "app", "schema"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:."},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"tariff {version('tariff')}\n"


async def test_a_wrong_setting_is_one_line_without_a_traceback(tariff: Tariff) -> None:
    ran = await tariff("api", environ={"TARIFF_SERVER_PORT": "many"})
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr == (
        "tariff: server.port is 'many' in TARIFF_SERVER_PORT: it must be a whole number from 0 to "
        "65535. Correct it there.\n"
    )


async def test_a_mode_without_servers_says_which_are_missing(tariff: Tariff) -> None:
    ran = await tariff(
        "consumer", environ={"TARIFF_POSTGRES_URL": "", "TARIFF_S3_ENDPOINT_URL": ""}
    )
    assert ran.code == 1
    assert ran.stderr.startswith("tariff: postgres.url, s3.endpoint_url: empty, and mode consumer")


async def test_a_file_that_is_not_there_is_an_error(tariff: Tariff) -> None:
    ran = await tariff("api", "--config", "/nowhere.yaml")
    assert (ran.code, ran.stderr.count("\n")) == (1, 1)
    assert "there is no such configuration file" in ran.stderr


async def test_the_schema_is_printed_and_nothing_else(tariff: Tariff) -> None:
    ran = await tariff("schema")
    assert (ran.code, ran.stderr) == (0, "")
    assert "type Query {" in ran.stdout


async def test_a_new_key_stands_alone_on_the_last_line(tariff: Tariff, settings: Settings) -> None:
    ran = await tariff("keys", "create", "--tenant", "Command line")
    assert ran.code == 0
    assert re.fullmatch(r"tk_(live|test)_\w+\n", ran.stdout)
    assert ran.stdout.strip() not in ran.stderr


async def test_the_doctor_finds_nothing_wrong(topics: Settings, tariff: Tariff) -> None:
    ran = await tariff("doctor")
    assert ran.code == 0, ran.stdout
    for name in ("settings", "postgres", "clickhouse", "kafka", "s3", "temporal"):
        assert re.search(rf"│ {name} +│ ok +│", ran.stdout), ran.stdout
    assert re.search(r"│ postgres +│ ok +│ +[\d.]+ ms │", ran.stdout)


async def test_the_doctor_says_what_is_wrong_and_how_to_fix_it(
    topics: Settings, tariff: Tariff
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    environ = {
        "TARIFF_KAFKA_BROKERS": gone,
        "TARIFF_POSTGRES_URL": f"postgresql://u:hunter2@{gone}/x",
        "TARIFF_CLICKHOUSE_DATABASE": "nowhere",
        "COLUMNS": "200",
    }
    ran = await tariff("doctor", environ=environ)
    assert ran.code == 1
    assert ran.stderr == ""
    assert re.search(r"│ s3 +│ ok", ran.stdout)
    for name, fix in (
        ("postgres", "Check TARIFF_POSTGRES_URL"),
        ("clickhouse", "Check TARIFF_CLICKHOUSE_URL"),
        ("kafka", "Check TARIFF_KAFKA_BROKERS"),
    ):
        assert f"{name}: {fix}" in ran.stdout
    assert "hunter2" not in ran.stdout


async def test_migrating_twice_changes_nothing_and_back_and_forth_works(
    topics: Settings, tariff: Tariff
) -> None:
    again = await tariff("migrate")
    assert (again.code, again.stdout) == (0, "postgres, clickhouse, kafka: up to date\n")
    assert (await tariff("migrate", "check")).code == 0
    back = await tariff("migrate", "down", "--only", "clickhouse", "--yes")
    [name] = re.findall(r"took back (\d{4}_\w+)\n", back.stdout)
    try:
        assert (await tariff("migrate", "check")).code == 1
        status = await tariff("migrate", "status", "--only", "clickhouse")
        assert f"clickhouse  {name}  not run yet" in status.stdout
    finally:
        forward = await tariff("migrate", "--only", "clickhouse")
    assert forward.stdout == f"ran {name}\nclickhouse: up to date\n"
    assert (await tariff("migrate", "check")).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["down"], "say which server goes back"),
        (["down", "--only", "kafka"], "say which server goes back"),
        (["down", "--only", "clickhouse"], "repeat with --yes"),
    ],
)
async def test_going_back_is_asked_for_twice(
    clickhouse: ClickHouse, tariff: Tariff, arguments: list[str], said: str
) -> None:
    ran = await tariff("migrate", *arguments)
    assert ran.code == 1
    assert said in ran.stderr
    assert await pending(clickhouse) == []


async def test_a_database_that_is_away_is_one_sentence(tariff: Tariff) -> None:
    environ = {"TARIFF_POSTGRES_OWNER_URL": f"postgresql://u:p@127.0.0.1:{free_port()}/x"}
    ran = await tariff("migrate", environ=environ)
    assert ran.code == 1
    assert ran.stderr.startswith("tariff: PostgreSQL is unavailable: ")
    assert "Traceback" not in ran.stderr


async def test_a_bug_in_a_mode_is_reported_in_full_and_exits_with_1(
    topics: Settings, tariff: Tariff, tmp_path: Path
) -> None:
    # A module that fails when it is imported stands for any bug at the start.
    (tmp_path / "sitecustomize.py").write_text(
        "import app.modes.serving as s\n"
        "def fails(*a, **k): raise LookupError('a bug')\n"
        "s.signalled = fails\n"
    )
    ran = await tariff("consumer", environ={"PYTHONPATH": f"{tmp_path}:."})
    assert ran.code == 1
    *logged, last = ran.stderr.splitlines()
    assert last == "tariff: a bug, please report it: LookupError: a bug"
    line: dict[str, Any] = json.loads(logged[-1])
    assert (line["event"], line["mode"]) == ("command_failed", "consumer")
    assert "LookupError: a bug" in line["exception"]
