"""Runs the cases with known answers through the product's code.

`python -m tests.cases [DIR]` takes every file of cases in DIR (default: the copy next to the
tests) and prints per area what passed, what is refused by decision, and what failed. It exits
with 1 if anything failed, and with 2 if DIR has no cases. The adapter of `NAME.json` is the module
`tests.cases_adapters.NAME`; a file without one is reported as not covered yet.
"""

import importlib
import importlib.util
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.cases_adapters.refusals import REASONS, RefusedByDecision

DATA = Path(__file__).parent / "cases_data"
Adapter = Callable[[Mapping[str, Any]], Mapping[str, Any]]
# Where the cases themselves say how near is equal.
_TOLERANCES = {"discount_by_line": Fraction(1, 10_000)}


@dataclass
class Outcome:
    """Of one area: the ids of what passed, what was refused and why, and what failed."""

    passed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failed: dict[str, tuple[object, object]] = field(default_factory=dict)


@dataclass
class Report:
    outcomes: dict[str, Outcome] = field(default_factory=lambda: defaultdict(Outcome))
    uncovered: dict[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        return sum(len(outcome.failed) for outcome in self.outcomes.values())


def run(directory: Path = DATA) -> Report:
    """Every case of every file of the directory."""
    report = Report()
    for path in sorted(directory.glob("*.json")):
        cases = json.loads(path.read_text())
        adapters = adapters_of(path.stem)
        if adapters is None:
            report.uncovered[path.stem] = len(cases)
            continue
        for case in cases:
            judge(case, adapters, report.outcomes[case["area"]])
    return report


def adapters_of(name: str) -> Mapping[str, Adapter] | None:
    """The adapters of a file by the kind of case; None where there is no module for it."""
    module = f"tests.cases_adapters.{name}"
    if importlib.util.find_spec(module) is None:
        return None
    found: Mapping[str, Adapter] = importlib.import_module(module).ADAPTERS
    return found


def judge(case: Mapping[str, Any], adapters: Mapping[str, Adapter], outcome: Outcome) -> None:
    """Put the case where it belongs. A kind that no adapter knows, or a crash, is a failure."""
    name, expected = str(case["id"]), case["expected"]
    kind = case["area"].partition("/")[2]
    try:
        found: object = adapters[kind](case["input"])
    except RefusedByDecision as refusal:
        outcome.refused[name] = refusal.reason
        return
    except Exception as error:
        found = error
    if not isinstance(found, Exception) and agrees(found, expected):
        outcome.passed.append(name)
    elif not case.get("confirmed", True):
        outcome.refused[name] = "unconfirmed"
    else:
        outcome.failed[name] = (expected, found)


def agrees(found: Any, expected: Mapping[str, Any]) -> bool:
    """Whether everything that is expected was found, rounded first as `compare` says."""
    compare = expected.get("compare", "exact")
    wanted = {key: value for key, value in expected.items() if key != "compare"}
    return all(
        key in found and _equal(found[key], value, compare, _TOLERANCES.get(key, Fraction(0)))
        for key, value in wanted.items()
    )


def _equal(found: Any, expected: Any, compare: str, tolerance: Fraction) -> bool:
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == expected.keys()
            and all(_equal(found[key], expected[key], compare, tolerance) for key in expected)
        )
    if isinstance(expected, list):
        return (
            isinstance(found, Sequence)
            and len(found) == len(expected)
            and all(_equal(f, e, compare, tolerance) for f, e in zip(found, expected, strict=True))
        )
    left, right = _number(found), _number(expected)
    if left is None or right is None:
        return bool(found == expected)
    return abs(_rounded(left, compare) - right) <= tolerance


def _number(value: Any) -> Fraction | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return Fraction(value)
    except (ValueError, TypeError):
        return None


def _rounded(value: Fraction, compare: str) -> Fraction:
    name, _, places = compare.partition(":")
    if not places:
        return value
    scaled = value * Fraction(10) ** int(places)
    whole = {
        "ceil": -(-scaled.numerator // scaled.denominator),
        "floor": scaled.numerator // scaled.denominator,
        "round_half_up": (1 if scaled >= 0 else -1) * int(abs(scaled) + Fraction(1, 2)),
    }[name]
    return Fraction(whole) / Fraction(10) ** int(places)


def lines(report: Report) -> Iterator[str]:
    for area, outcome in sorted(report.outcomes.items()):
        counts = f"{len(outcome.passed)} passed"
        if outcome.refused:
            counts += f", {len(outcome.refused)} refused by decision"
        if outcome.failed:
            counts += f", {len(outcome.failed)} failed"
        yield f"{area}: {counts}"
        for name, reason in outcome.refused.items():
            yield f"  refused {name}: {REASONS[reason]}"
        for name, (expected, found) in outcome.failed.items():
            yield f"  FAILED {name}: expected {expected!r}, got {found!r}"
    for area, count in report.uncovered.items():
        yield f"{area}: {count} cases, not covered yet"
    passed = sum(len(outcome.passed) for outcome in report.outcomes.values())
    refused = sum(len(outcome.refused) for outcome in report.outcomes.values())
    yield f"{passed} passed, {refused} refused by decision, {report.failures} failed"


def main(arguments: Sequence[str]) -> int:
    directory = Path(arguments[0]) if arguments else DATA
    if len(arguments) > 1 or not any(directory.glob("*.json")):
        print(__doc__, file=sys.stderr)  # noqa: T201 - a program for the terminal
        return 2
    report = run(directory)
    for line in lines(report):
        print(line)  # noqa: T201
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
