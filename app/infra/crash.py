"""Places where a test may kill the process, as an unlucky moment would.

Every effect that has to survive a crash has a point before and after it. A point does nothing
unless TARIFF_CRASH_AT, read once when the program starts, names it.
"""

import os
import sys

# Not a setting: it is for tests alone, and whoever sets it means this one process.
_AT = os.getenv("TARIFF_CRASH_AT", "")
# What the shell reports of a process that was killed by signal 9.
_KILLED = 137


def point(name: str) -> None:
    """End the process at once, with nothing flushed or closed, where `name` was asked for."""
    if name == _AT:
        sys.stderr.write(f"crash point {name}\n")
        os._exit(_KILLED)
