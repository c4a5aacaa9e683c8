"""Splitting whole numbers, such as cents, into whole parts that sum to them. Exact."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor


def proportional(whole: int, weights: Sequence[Fraction]) -> list[int]:
    """`whole` by weights that are not negative: largest remainder, a tie to the earlier part.

    All weights zero: everything goes to the first part. Raises ValueError for no weights, or a
    negative one.
    """
    if not weights or any(weight < 0 for weight in weights):
        raise ValueError("weights must be given, and none of them negative")
    together = sum(weights, Fraction(0))
    if not together:
        return [whole, *[0] * (len(weights) - 1)]
    return rounded([whole * weight / together for weight in weights], whole)


def rounded(
    exact: Sequence[Fraction], whole: int, limits: Sequence[int] | None = None
) -> list[int]:
    """Whole parts that sum to `whole`, each next to its exact one: largest remainder.

    `limits` are what no part may exceed; what does not fit where it belongs goes to the earliest
    parts with room. Raises ValueError where the parts cannot sum to `whole`.
    """
    parts = [floor(part) for part in exact]
    if limits is not None:
        parts = [min(part, limit) for part, limit in zip(parts, limits, strict=True)]
    room = [limits is None or part < limits[i] for i, part in enumerate(parts)]
    missing = whole - sum(parts)
    for index in sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i)):
        if missing > 0 and room[index] and exact[index] > parts[index]:
            parts[index] += 1
            missing -= 1
    return parts if missing == 0 else _elsewhere(parts, missing, limits)


def _elsewhere(parts: list[int], missing: int, limits: Sequence[int] | None) -> list[int]:
    """Put what is missing on parts that have room, the earliest first."""
    if limits is None or missing < 0:
        raise ValueError(f"the parts cannot be rounded to their sum: {missing} is missing")
    for index, limit in enumerate(limits):
        more = min(missing, max(limit - parts[index], 0))
        parts[index] += more
        missing -= more
    if missing:
        raise ValueError(f"the limits leave no room for {missing}")
    return parts
