"""What a benchmark says."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio to the floor."""

    bound: Literal["at least", "at most"]
    ratio: float

    def met_by(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.bound == "at least" else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{self.bound} {self.ratio:g}"


@dataclass(frozen=True)
class Result:
    """One figure. `floor` is in the same unit, measured in the same run; `ratio` is value ÷ floor.

    `goal` and `met` are None until there is a goal. `seed` makes the same input again.
    """

    name: str
    what: str
    value: float
    unit: str
    floor: float
    floor_is: str
    seed: int
    goal: Goal | None = None

    @property
    def ratio(self) -> float:
        return self.value / self.floor

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met_by(self.ratio)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            **asdict(self),
            "value": round(self.value, 3),
            "floor": round(self.floor, 3),
            "ratio": round(self.ratio, 4),
            "goal": None if self.goal is None else str(self.goal),
            "met": self.met,
            "machine": machine(),
        }


def machine() -> str:
    """What it ran on, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"
