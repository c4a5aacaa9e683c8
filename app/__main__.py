"""`tariff` and `python -m app`: the only entry point."""

import sys
from collections.abc import Sequence
from importlib import import_module

from app.cli.parser import parser

_INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done, 1: failed, 2: not understood, 130: interrupted."""
    try:
        arguments = parser().parse_args(argv)
        # By name, so that `--help` and mistakes on the command line answer at once: the modes
        # import some 2,000 modules.
        code: int = import_module("app.cli.dispatch").dispatch(arguments)
    except KeyboardInterrupt:  # while still importing
        return _INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
