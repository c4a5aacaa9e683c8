"""Which version of the IANA time-zone data periods are computed by."""

import zoneinfo
from functools import cache
from importlib import import_module
from pathlib import Path


@cache
def zone_data_version() -> str:
    """Such as `2026c`: of the data that `zoneinfo` reads, the machine's before the package's.

    "unknown" where the data does not say. It stays what it was when first asked for: so do the
    zones that a process has read.
    """
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "tzdata.zi").is_file():
            return _stated(folder / "tzdata.zi")
        if (folder / "UTC").is_file():
            return "unknown"
    try:
        return str(import_module("tzdata").IANA_VERSION)
    except ModuleNotFoundError:
        return "unknown"


def _stated(compiled: Path) -> str:
    """Its first line reads `# version 2026c`."""
    with compiled.open(encoding="ascii", errors="replace") as lines:
        words = lines.readline().split()
    return words[2] if words[:2] == ["#", "version"] and len(words) > 2 else "unknown"
