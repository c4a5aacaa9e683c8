"""`tariff bench`: the benchmarks of the repository, which are not part of the package."""

import argparse
from importlib import import_module
from importlib.util import find_spec

from app.config import ConfigError


def run(arguments: argparse.Namespace) -> int:
    """Run them as `python -m bench` does; its exit code."""
    if find_spec("bench") is None:
        raise ConfigError(
            "the benchmarks are part of the repository, not of the installed package; "
            "run this in a checkout, or `python -m bench` there"
        )
    given = [*arguments.names, *(["--json", str(arguments.json)] if arguments.json else [])]
    code: int = import_module("bench.__main__").main(given)
    return code
