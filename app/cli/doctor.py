"""`tariff doctor`: are the settings right, does every server answer, is every schema up to date?

Each server is asked on its own, so that one that is down does not hide the others.
"""

import argparse
import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from app.cli.settings import command_settings
from app.config import Settings, addresses
from app.kernel.errors import Unavailable
from app.rest.health import CHECKS, Outcome, check
from app.runtime import EVERYTHING, NAMES, Need, open_runtime

_SETTINGS: Final[Mapping[Need, str]] = {
    "postgres": "postgres.url",
    "clickhouse": "clickhouse.url",
    "kafka": "kafka.brokers",
    "s3": "s3.endpoint_url",
    "temporal": "temporal.address",
}
_FIXES: Final[Mapping[str, str]] = {
    "postgres": "Check TARIFF_POSTGRES_URL (host, port, user, password, database), and that "
    "the server runs and lets this machine in.",
    "postgres_migrations": "Run `tariff migrate` with TARIFF_POSTGRES_OWNER_URL set.",
    "clickhouse": "Check TARIFF_CLICKHOUSE_URL (the HTTP port, 8123 by default), "
    "TARIFF_CLICKHOUSE_USER and TARIFF_CLICKHOUSE_PASSWORD.",
    "clickhouse_migrations": "Run `tariff migrate`.",
    "kafka": "Check TARIFF_KAFKA_BROKERS and TARIFF_KAFKA_SECURITY, and that the brokers "
    "advertise an address that this machine reaches. Topics are made by `tariff migrate`.",
    "s3": "Check TARIFF_S3_ENDPOINT_URL, TARIFF_S3_ACCESS_KEY and TARIFF_S3_SECRET_KEY, and "
    "that the key may use the bucket TARIFF_S3_BUCKET names.",
    "temporal": "Check TARIFF_TEMPORAL_ADDRESS (the frontend, port 7233 by default) and "
    "TARIFF_TEMPORAL_NAMESPACE; the namespace has to exist.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `ok` is None where there is nothing to check."""

    name: str
    ok: bool | None
    detail: str
    milliseconds: float | None = None

    @property
    def fix(self) -> str:
        return _FIXES[self.name] if self.ok is False else ""


def run(arguments: argparse.Namespace) -> int:
    """Check everything and print it; 1 when something is wrong. Raises: ConfigError."""
    settings = command_settings(arguments)
    # What it tries is told below, once, in a form that people read.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        findings = runner.run(examine(settings))
    _show(settings, findings)
    return 1 if any(finding.ok is False for finding in findings) else 0


async def examine(settings: Settings) -> list[Finding]:
    """What there is to say about each server, in a fixed order."""
    ordered = [need for need in NAMES if need in EVERYTHING]
    # One after the other: PostgreSQL's state belongs to a task, and the latencies stay honest.
    return [finding for need in ordered for finding in await _examined(settings, need)]


async def _examined(settings: Settings, need: Need) -> Iterable[Finding]:
    if not addresses(settings)[_SETTINGS[need]]:
        if settings.deployment.mode == "local":
            return [Finding(need, None, "not configured: mode local starts one of its own")]
        return [Finding(need, False, f"{_SETTINGS[need]} is empty")]
    try:
        async with open_runtime(settings, needs=frozenset({need})) as runtime:
            outcomes = [
                await check(name, question, runtime) for name, question in CHECKS[need].items()
            ]
    except Unavailable as error:
        return [Finding(need, False, error.message)]
    except Exception as error:  # a driver that cannot make sense of the address, say
        return [Finding(need, False, f"{type(error).__name__}: {error}")]
    return [_finding(outcome) for outcome in outcomes]


def _finding(outcome: Outcome) -> Finding:
    return Finding(
        outcome.name, outcome.ok, outcome.reason or "ok", milliseconds=outcome.milliseconds
    )


def _show(settings: Settings, findings: list[Finding]) -> None:
    console = Console()
    table = Table(title=f"Tariff, mode {settings.deployment.mode}", title_justify="left")
    table.add_column("check")
    table.add_column("result")
    table.add_column("latency", justify="right")
    table.add_row("settings", "[green]ok[/]", "")
    for finding in findings:
        latency = f"{finding.milliseconds:.1f} ms" if finding.milliseconds is not None else ""
        table.add_row(finding.name, _colored(finding), latency)
    console.print(table)
    for finding in findings:
        if finding.ok is False:
            console.print(f"[bold]{finding.name}[/]: {finding.fix}", highlight=False)


def _colored(finding: Finding) -> str:
    color = {True: "green", False: "red", None: "yellow"}[finding.ok]
    # Square brackets mean colors to rich; a driver's message may hold them.
    return f"[{color}]{finding.detail.replace('[', chr(92) + '[')}[/]"
