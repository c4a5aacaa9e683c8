"""`python -m bench [NAME …] [--json FILE]`: runs benchmarks and says how far from their floors.

Exit codes: 0 no goal missed, 1 one was, 2 not understood.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import uvloop
from rich.console import Console
from rich.table import Table

from app.config import Logging
from app.infra.telemetry.logs import configure_logging
from bench.registry import BENCHMARKS
from bench.result import Result, machine
from bench.servers import servers


def main(argv: Sequence[str] | None = None) -> int:
    """Run what `argv` names (default: the command line); the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="so many times the usual inputs, where they can be scaled (billing_run)",
    )
    given = parser.parse_args(argv)
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    configure_logging(Logging(level="WARNING", format="console"), name="bench", mode="bench")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(_run(given.names or list(BENCHMARKS), given.scale))
    _show(results)
    if given.json is not None:
        rows = [result.as_dict() for result in results]
        given.json.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")
    return 1 if any(result.met is False for result in results) else 0


async def _run(names: Sequence[str], scale: float) -> list[Result]:
    results: list[Result] = []
    async with servers() as settings:
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            results += await BENCHMARKS[name](settings, scale)
    return results


def _show(results: Sequence[Result]) -> None:
    table = Table(title=machine(), title_justify="left")
    for heading in ("benchmark", "what", "value", "floor", "ratio", "goal"):
        right = heading in ("value", "floor", "ratio")
        table.add_column(heading, justify="right" if right else "left")
    for one in results:
        goal = "–" if one.goal is None else f"{one.goal}{'' if one.met else ' (missed)'}"
        table.add_row(
            one.name,
            f"{one.what}; floor: {one.floor_is}",
            f"{one.value:,.1f} {one.unit}",
            f"{one.floor:,.1f} {one.unit}",
            f"{one.ratio:.3f}",
            goal,
        )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
