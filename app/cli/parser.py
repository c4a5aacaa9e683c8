"""What can be asked of the program, and the help that says so.

Imports nothing of the product, so that help and mistakes answer at once.
"""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeAlias

MODES: Final = ("local", "api", "consumer", "temporal_worker")

_DESCRIPTION = "Usage-based billing as a GraphQL API."
_EPILOG = """\
modes, each a process of its own; `local` is all of them with every server they need:
  tariff local                        try it; data is kept in ./.tariff
  tariff api                          HTTP: GraphQL, event ingest, health, metrics
  tariff consumer                     events from Kafka to ClickHouse, and reactions
  tariff temporal_worker              billing runs

settings come from config.yaml and from variables named TARIFF_<SECTION>_<KEY>; `tariff doctor`
checks them and every connection. Exit codes: 0 done, 1 failed, 2 not understood.
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `command` names what was asked."""
    root = argparse.ArgumentParser(
        prog="tariff", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=_Raw
    )
    root.add_argument("--version", action="version", version=f"tariff {version('tariff')}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (
        _local,
        _api,
        _consumer,
        _temporal_worker,
        _migrate,
        _doctor,
        _demo,
        _schema,
        _keys,
        _events,
        _bench,
    ):
        add(commands)
    return root


class _Raw(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples as they are written."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=96)


_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _command(
    commands: _Commands, name: str, *, help: str, more: str = "", examples: Sequence[str] = ()
) -> argparse.ArgumentParser:
    shown = "\n".join(f"  {example}" for example in examples)
    command = commands.add_parser(
        name,
        help=help,
        description=f"{help}\n\n{more}".strip(),
        epilog=f"examples:\n{shown}" if examples else None,
        formatter_class=_Raw,
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration file (default: $TARIFF_CONFIG, else ./config.yaml)",
    )
    return command


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _data_dir(command: argparse.ArgumentParser, help: str, *, default: str) -> None:
    command.add_argument(
        "--data-dir", type=Path, metavar="DIR", help=f"{help} (default: {default})"
    )


def _beside(
    command: argparse.ArgumentParser, *, default: str = "./.tariff, else the only one that runs"
) -> None:
    help = "where a `tariff local` that runs keeps its data, if it is to be used"
    _data_dir(command, help, default=default)


def _stack(command: argparse.ArgumentParser, *, default: str) -> None:
    _data_dir(command, "where the embedded servers keep their data", default=default)
    command.add_argument(
        "--port", type=_port, metavar="N", help="port of the API (default: server.port, 8080)"
    )


def _local(commands: _Commands) -> None:
    command = _command(
        commands,
        "local",
        help="Run everything in one go: every server, the API, the consumer, the worker.",
        more="Servers whose address is configured are used instead of started. Ctrl-C stops\n"
        "everything; the next start finds the data again.",
        examples=("tariff local", "tariff local --data-dir /var/lib/tariff --port 9000"),
    )
    _stack(command, default="./.tariff")
    command.add_argument(
        "--servers-only",
        action="store_true",
        help="start the servers alone, and print the variables by which to run modes by hand",
    )


def _api(commands: _Commands) -> None:
    command = _command(
        commands,
        "api",
        help="Serve GraphQL, event ingest, health and metrics over HTTP.",
        more="Needs PostgreSQL, ClickHouse, Kafka, Temporal and S3, migrated (`tariff migrate`).",
        examples=("tariff api", "TARIFF_SERVER_HOST=0.0.0.0 tariff api --port 8080"),
    )
    command.add_argument("--host", help="address to listen on (default: server.host)")
    command.add_argument(
        "--port", type=_port, metavar="N", help="port to listen on (default: server.port)"
    )


def _consumer(commands: _Commands) -> None:
    command = _command(
        commands,
        "consumer",
        help="Move events from Kafka to ClickHouse, and react to what happened.",
        more="Run as many as there are partitions. Only health and metrics are served.",
        examples=("tariff consumer", "tariff consumer --port 8081"),
    )
    _probes(command)


def _temporal_worker(commands: _Commands) -> None:
    command = _command(
        commands,
        "temporal_worker",
        help="Run the workflows: billing on schedule.",
        more="Run as many as there is work for. Only health and metrics are served.",
        examples=("tariff temporal_worker", "tariff temporal_worker --port 8082"),
    )
    _probes(command)


def _probes(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", help="address to listen on (default: server.host)")
    command.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="port of /health, /ready and /metrics (default: server.metrics_port)",
    )


def _migrate(commands: _Commands) -> None:
    command = _command(
        commands,
        "migrate",
        help="Bring the schemas of PostgreSQL and ClickHouse and the Kafka topics up to date.",
        more="up      run what has not run yet (the default); create missing topics\n"
        "down    take back the newest migration of the server named with --only\n"
        "status  list what has run and what has not\n"
        "check   exit 1 unless everything has run",
        examples=(
            "tariff migrate",
            "tariff migrate status",
            "tariff migrate down --only clickhouse --yes",
        ),
    )
    command.add_argument(
        "direction",
        nargs="?",
        choices=("up", "down", "status", "check"),
        default="up",
        help="what to do (default: up)",
    )
    command.add_argument(
        "--only",
        choices=("postgres", "clickhouse", "kafka"),
        help="leave the other servers alone",
    )
    command.add_argument(
        "--yes", action="store_true", help="with down: do not ask; data may be lost"
    )
    _beside(command, default="./.tariff, else the only one that runs; with down: none")


def _doctor(commands: _Commands) -> None:
    command = _command(
        commands,
        "doctor",
        help="Check the settings, every connection and the migrations; say how to fix what fails.",
        examples=("tariff doctor", "tariff doctor --config production.yaml"),
    )
    _beside(command)


def _demo(commands: _Commands) -> None:
    command = _command(
        commands,
        "demo",
        help="Bill a year of real usage from start to PDF, and check every invoice.",
        more="Without --trace: the 336,776 flights that left New York in 2013, for 16 airlines.\n"
        "With it: an LLM inference trace with the columns TIMESTAMP, ContextTokens and\n"
        "GeneratedTokens. Exit code 0 only if every invoice equals the recomputation.",
        examples=("tariff demo", "tariff demo --exit", "tariff demo --trace trace.csv --exit"),
    )
    _stack(command, default="a temporary directory that is removed when the demo ends")
    command.add_argument(
        "--trace", type=Path, metavar="FILE", help="bill this inference trace instead"
    )
    command.add_argument("--exit", action="store_true", help="stop when done instead of serving on")


def _schema(commands: _Commands) -> None:
    _command(
        commands,
        "schema",
        help="Print the GraphQL schema (SDL).",
        examples=("tariff schema > schema.graphql",),
    )


def _keys(commands: _Commands) -> None:
    command = _command(commands, "keys", help="Create, list and revoke API keys.")
    verbs = command.add_subparsers(dest="verb", metavar="VERB", required=True)
    create = _command(
        verbs,
        "create",
        help="Create an API key and print it, once, alone on the last line of stdout.",
        more="A tenant or an environment that does not exist yet is created.",
        examples=(
            "tariff keys create --tenant Acme",
            "tariff keys create --tenant Acme --environment Sandbox --scopes event:write",
        ),
    )
    create.add_argument("--tenant", required=True, metavar="NAME", help="its name or its id")
    create.add_argument(
        "--environment",
        default="Production",
        metavar="NAME",
        help="its name or its id (default: Production)",
    )
    create.add_argument(
        "--scopes",
        nargs="+",
        metavar="SCOPE",
        help="permissions such as event:write, or names of built-in roles (default: everything)",
    )
    shown = _command(
        verbs,
        "list",
        help="List a tenant's keys: id, prefix, environment, status, name.",
        examples=("tariff keys list --tenant Acme",),
    )
    shown.add_argument("--tenant", required=True, metavar="NAME", help="its name or its id")
    shown.add_argument("--environment", metavar="NAME", help="only this one (default: all)")
    revoke = _command(
        verbs,
        "revoke",
        help="End a key; it is refused within a second.",
        examples=("tariff keys revoke tk_live_0123456789ab",),
    )
    revoke.add_argument("key", metavar="KEY", help="its id or its prefix")
    for verb in (create, shown, revoke):
        _beside(verb)


def _events(commands: _Commands) -> None:
    command = _command(commands, "events", help="Work with usage events.")
    verbs = command.add_subparsers(dest="verb", metavar="VERB", required=True)
    load = _command(
        verbs,
        "load",
        help="Send the events of a file through the ingest API.",
        more="Newline-delimited JSON, each line as POST /v1/events takes it; or, for a name that\n"
        "ends in .csv, a header and one event a row. A load that broke off goes on where it was\n"
        "when it is repeated, and an event that was sent before is recognised by its id.",
        examples=(
            "tariff events load events.ndjson --key tk_test_…",
            "tariff events load calls.csv --key tk_test_… --map timestamp=started_at "
            "--map customer_id=account --set event_name=call",
        ),
    )
    load.add_argument("file", type=Path, metavar="FILE", help="the events")
    load.add_argument("--key", required=True, metavar="KEY", help="API key with event:write")
    load.add_argument("--url", metavar="URL", help="address of the API (default: the local one)")
    load.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="CSV: which column is which field of the event, or properties.NAME; repeatable",
    )
    load.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="CSV: a field that is the same for every event; repeatable",
    )
    load.add_argument(
        "--skip-faulty",
        action="store_true",
        help="accept the rest of a request when some of its events are refused, and list those",
    )
    load.add_argument(
        "--batch", type=_count, default=1000, metavar="N", help="events a request (default: 1000)"
    )
    load.add_argument(
        "--concurrency", type=_count, default=4, metavar="N", help="requests at once (default: 4)"
    )
    _beside(load)


def _bench(commands: _Commands) -> None:
    command = _command(
        commands,
        "bench",
        help="Measure against floors taken in the same run (from a checkout of the repository).",
        examples=("tariff bench", "tariff bench ingest --json results.json"),
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="benchmarks (default: all)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
