"""Waiting until what filling set off is done: merges, vacuum, writing out."""

import asyncio
import os
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")  # Linux; see proc_stat(5)
_LOOK_SECONDS: Final = 1.0
_LOOKS: Final = 4  # as many quiet ones in a row
_MOST_LOOKS: Final = 90
_BUSY: Final = 0.1  # of all processors


async def quiet() -> None:
    """Return once the machine has little to do, or never gets there in a minute and a half."""
    await asyncio.to_thread(os.sync)
    if not _STAT.exists():
        await asyncio.sleep(_LOOKS * _LOOK_SECONDS)
        return
    calm, before = 0, _times()
    for _ in range(_MOST_LOOKS):
        await asyncio.sleep(_LOOK_SECONDS)
        now = _times()
        calm = calm + 1 if _busy(before, now) < _BUSY else 0
        before = now
        if calm == _LOOKS:
            return


def _times() -> list[int]:
    return [int(each) for each in _STAT.read_text().split("\n", 1)[0].split()[1:]]


def _busy(before: list[int], now: list[int]) -> float:
    """The share of time between two looks that processors did something."""
    spent = [b - a for a, b in zip(before, now, strict=True)]
    idle = spent[3] + spent[4]  # idle, and waiting for disks
    return 1 - idle / (sum(spent[:8]) or 1)
