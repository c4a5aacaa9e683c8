"""Rows are read back as they were given, whatever they share with one another."""

from decimal import Decimal

import pytest

from app.infra.arrays import BETWEEN, joined, texts
from app.infra.postgres import fetch, writing
from app.invoicing.actions.saving import clear_parts
from app.invoicing.records import insert, line_values
from app.kernel.copies import replace
from app.kernel.ids import new_ids
from tests.invoicing.test_billing import lines
from tests.invoicing.test_lifecycle import draft
from tests.invoicing.world import JAN

# What stands between documents on their way, and what JSON and arrays have a meaning for.
ODD = f"a{BETWEEN}b, 'c' \"d\" {{e}} \\ NULL \N{SNOWMAN}"


@pytest.mark.parametrize("count", [1, 2, 49, 50, 700])
async def test_lines_are_read_back_as_they_were_given(world, count):
    made = await draft(world)
    (line,) = await lines(world, made)
    prices = [line.price, {**line.price, "display_name": ODD}, {"currency": "USD"}]
    given = [
        replace(
            line,
            id=id_,
            position=place,
            description=ODD if place % 5 else "Fee",
            amount=Decimal(place) / 100,
            quantity=Decimal(1),
            price=prices[place % 3],
            explanation={**line.explanation, "place": str(place), "odd": ODD},
            group={"region": ODD if place % 2 else None},
            section=None if place % 7 else ODD,
            meter_id=None,
        )
        for place, id_ in enumerate(new_ids("invl", count), start=1)
    ]
    async with writing(world.scope) as connection:
        await clear_parts(connection, world.scope, [made.id])
        rows = [line_values(world.scope, each, JAN) for each in given]
        await insert(connection, "invoice_lines", rows)
    assert await lines(world, made) == given


@pytest.mark.parametrize("given", [[None], ["a"], ["a", None], [None, None, "{b}"], ["NULL", ","]])
async def test_texts_are_read_as_they_were_joined(world, given):
    rows = await fetch(
        world.scope, f"SELECT text FROM unnest($1::text[], {texts(2)}) AS row(place, text)",  # noqa: S608
        [str(place) for place, _ in enumerate(given)], joined(given),
    )  # fmt: skip
    assert [row["text"] for row in rows] == given


def test_what_stands_between_texts_is_in_none_of_them():
    with pytest.raises(ValueError, match="stands between"):
        joined(["a", f"b{BETWEEN}c"])
