"""What is allowed in a price and may still not be meant. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.catalog.prices.explanation import text
from app.catalog.prices.formula import Formula
from app.catalog.prices.matrix import Matrix, MatrixRow
from app.catalog.prices.models import PriceModel
from app.catalog.prices.volume import Volume
from app.kernel.quantity import plain


@dataclass(frozen=True, slots=True)
class PriceWarning:
    """`code` is stable; `field` is the path in the price, as callers spell it."""

    code: str
    message: str
    field: str


def warnings(model: PriceModel) -> list[PriceWarning]:
    """In the order of the model's parts."""
    match model:
        case Volume():
            return list(_volume(model, "model.volume"))
        case Matrix():
            return list(_matrix(model))
        case Formula() if model.may_be_negative:
            return [
                PriceWarning(
                    "FORMULA_MAY_BE_NEGATIVE",
                    "for some usage the formula may come out below 0, where it charges nothing",
                    "model.formula.expression",
                )
            ]
        case _:
            return []


def _volume(model: Volume, path: str) -> Iterator[PriceWarning]:
    """Bounds behind which more usage costs less than the bound itself."""
    for index, tier in enumerate(model.tiers[:-1]):
        if tier.up_to is None:
            continue
        there, behind = tier.amount(tier.up_to), model.tiers[index + 1].amount(tier.up_to)
        if behind < there:
            field = f"{path}.tiers[{index + 1}]"
            yield PriceWarning(
                "VOLUME_NOT_MONOTONE",
                f"just above {plain(tier.up_to)} units the total falls from "
                f"{text(there)} to {text(behind)}",
                field,
            )


def _matrix(model: Matrix) -> Iterator[PriceWarning]:
    for index, row in enumerate(model.rows):
        path = f"model.matrix.rows[{index}]"
        if any(_covers(before, row) for before in model.rows[:index]):
            yield PriceWarning(
                "MATRIX_ROW_UNREACHABLE",
                "whatever matches this row matches one before it, which prices it",
                path,
            )
        if isinstance(row.price, Volume):
            yield from _volume(row.price, f"{path}.price.volume")
    if isinstance(model.default, Volume):
        yield from _volume(model.default, "model.matrix.default.volume")


def _covers(before: MatrixRow, row: MatrixRow) -> bool:
    """Whether everything that matches `row` matches `before`."""
    named = {match.property: set(match.values) for match in row.match}
    return all(
        match.property in named and named[match.property] <= set(match.values)
        for match in before.match
    )
