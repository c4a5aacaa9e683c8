"""Runs a command, and turns what goes wrong into one sentence and an exit code."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import structlog
import uvloop

from app.cli.parser import MODES
from app.config import ConfigError, Logging, load, require_servers
from app.infra.clickhouse import ClickHouseError
from app.infra.clickhouse_migrations import MigrationError
from app.infra.telemetry import telemetry
from app.infra.telemetry.logs import configure_logging
from app.kernel.errors import TariffError

log = structlog.get_logger(__name__)

FAILED: Final = 1
# What says by itself what is wrong; anything else is a bug.
_TOLD: Final = (ConfigError, TariffError, MigrationError, ClickHouseError, OSError)
# Until a command reads its settings, and for those that never do.
_COMMANDS_LOGGING: Final = Logging(level="WARNING", format="console")
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it


def dispatch(arguments: argparse.Namespace) -> int:
    """Run the command that `arguments` name. 0: done, 1: failed; the reason is on stderr."""
    configure_logging(_COMMANDS_LOGGING, name="tariff", mode=arguments.command)
    try:
        if arguments.command in MODES:
            return _serve(arguments)
        code: int = _imported(f"app.cli.{arguments.command}").run(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        return _failed(error)
    return code


def _imported(name: str) -> ModuleType:
    """The module, imported without looking for garbage, of which there is none yet; nor does the
    collector look again at what modules define. Saves a sixth of the time of a start."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _serve(arguments: argparse.Namespace) -> int:
    settings = load(path=arguments.config, mode=arguments.command, overrides=_given(arguments))
    if arguments.command != "local":
        require_servers(settings)
    run = partial(_imported(f"app.modes.{arguments.command}").run, settings)
    if arguments.command == "local":
        run = partial(run, data_dir=arguments.data_dir, servers_only=arguments.servers_only)
    with telemetry(settings), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(run())
        except Exception as error:
            # Inside, because telemetry is what carries the report of a bug.
            return _failed(error)
    return 0


def _given(arguments: argparse.Namespace) -> dict[tuple[str, str], Any]:
    """The settings that a mode's options stand for."""
    serves_api = arguments.command in ("local", "api")
    options = {
        ("server", "host"): getattr(arguments, "host", None),
        ("server", "port" if serves_api else "metrics_port"): arguments.port,
    }
    return {key: value for key, value in options.items() if value is not None}


def _failed(error: Exception) -> int:
    for cause in _leaves(error):
        if isinstance(cause, _TOLD):
            sys.stderr.write(f"tariff: {cause}\n")
        else:
            log.error("command_failed", exc_info=cause)
            sys.stderr.write(f"tariff: a bug, please report it: {type(cause).__name__}: {cause}\n")
    return FAILED


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What went wrong, taken out of the groups that tasks wrap it in."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
