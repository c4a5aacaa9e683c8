"""`tariff events load FILE`: sends the events of a file through the ingest API.

Exit codes: 0 everything was accepted, 1 something was not, 2 the file or an option is wrong.
"""

import argparse
import asyncio
import sys

from app.cli.events.files import FileError, reader_of
from app.cli.events.journal import Journal
from app.cli.events.loading import Outcome, load
from app.cli.events.progress import progress
from app.cli.events.sender import Sender, SendingFailed
from app.cli.settings import command_settings
from app.embedded.located import api_url

DONE, FAILED, MISUSED = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """Do what `arguments.verb` says; the exit code."""
    url = _url(arguments)
    try:
        journal = Journal.of(arguments.file)
        outcome = asyncio.run(_load(url, arguments, journal))
    except FileError as error:
        _tell(f"tariff: {error}")
        return MISUSED
    except SendingFailed as error:
        _tell(f"tariff: {error}")
        _tell(f"{journal.rows} events are in; run the same command again to go on from there")
        return FAILED
    journal.remove()
    _report(outcome)
    return FAILED if outcome.rejected else DONE


def _url(arguments: argparse.Namespace) -> str:
    """Where the events go. One that is given needs no settings, and no stack to be chosen."""
    given: str | None = arguments.url
    return given or api_url(command_settings(arguments).server)


async def _load(url: str, arguments: argparse.Namespace, journal: Journal) -> Outcome:
    reader = reader_of(arguments.file, columns=arguments.map, constants=arguments.set)
    with progress(arguments.file) as shown:
        async with Sender.open(url, arguments.key, partial=arguments.skip_faulty) as sender:
            return await load(
                reader.batches(arguments.batch, skip_rows=journal.rows),
                sender,
                journal,
                shown,
                workers=arguments.concurrency,
            )


def _report(outcome: Outcome) -> None:
    _tell(f"{outcome.accepted} events accepted in {outcome.seconds:.1f} s")
    for line, message in outcome.rejected:
        _tell(f"line {line}: {message}")
    if outcome.rejected:
        _tell(f"{len(outcome.rejected)} faults: those lines were not accepted, the others were")


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
