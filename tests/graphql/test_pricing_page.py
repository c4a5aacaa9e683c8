"""docs/pricing.md says what things cost; here they are priced."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.catalog.prices import Adjustments, Figures, Graduated, PerUnit, Tier
from app.kernel.quantity import plain
from app.subscriptions.commitments import NO_COMMITMENT, Commitment, DayPart, Standing, committed
from tests.catalog.entitlement_rows import metered
from tests.graphql.test_quotes import quoted
from tests.invoicing.make import price
from tests.invoicing.test_included import billed, charged, flat

PAGE = Path(__file__).parents[2] / "docs" / "pricing.md"
BLOCKS = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)]
D = Decimal
# Those that the page speaks of where it promises a quantity.
TIERS = Graduated((Tier(D(10), D(1)), Tier(None, D("0.5"), D(3))))


def having(key: str) -> list[dict[str, Any]]:
    found = [block for block in BLOCKS if key in block]
    assert found
    return found


def test_every_block_is_of_a_kind_that_is_priced() -> None:
    for block in BLOCKS:
        assert len(block.keys() & {"price", "allowance", "commitment"}) == 1
        assert block.get("examples") or block.get("months")


@pytest.mark.parametrize("block", having("price"), ids=lambda b: next(iter(b["price"]["model"])))
async def test_prices_ask_what_the_page_says(ask: Any, block: dict[str, Any]) -> None:
    terms = {"terms": {"currency": "USD"} | block["price"]}
    for usage, costs in block["examples"]:
        assert (await quoted(ask, terms, **usage))["exact"] == costs


@pytest.mark.parametrize("block", having("allowance"))
def test_what_is_included_is_what_the_page_says(block: dict[str, Any]) -> None:
    given = block["allowance"]
    sold = price(PerUnit(D(1)), adjustments=Adjustments(free_units=D(given["freeUnits"])))
    for used, costs in block["examples"]:
        groups = [Figures(D(used), 1)]
        (line,) = billed(sold, metered(given["limit"]), groups=groups, used=flat(used))
        assert plain(charged(line)) == costs


def commitment_of(given: dict[str, Any]) -> Commitment:
    if given.keys() & {"amount", "quantity"} == set():
        return NO_COMMITMENT
    numbers = {name: D(given[name]) for name in ("amount", "quantity") if name in given}
    factor = D(given.get("overageFactor", "1"))
    return Commitment(**numbers, overage_factor=factor, true_up=given.get("trueUp", False))


def commitment_at(given: dict[str, Any], hour: int) -> Commitment:
    """What holds for a window that starts then."""
    for part in given.get("timeOfDay", ()):
        held = DayPart(part["startHour"], part["endHour"], commitment_of(part))
        if hour in held.hours:
            return held.commitment
    return commitment_of(given)


@pytest.mark.parametrize("block", having("commitment"))
def test_commitments_come_to_what_the_page_says(block: dict[str, Any]) -> None:
    commitment = commitment_of(block["commitment"])
    worth = commitment.worth(TIERS)
    for used, costs in block.get("examples", ()):
        windows = used if block["commitment"].get("windowed") else [used]
        hours = [each if isinstance(each, list) else (0, each) for each in windows]
        held = [(commitment_at(block["commitment"], hour), D(each)) for hour, each in hours]
        found = (committed(each, own, own.worth(TIERS)).amount for own, each in held)
        assert sum(found) == D(costs)
    prior, months = D(0), block.get("months", ())
    for number, (used, costs) in enumerate(months, start=1):
        standing = Standing(prior, settles=number == len(months))
        assert committed(D(used), commitment, worth, standing).amount == D(costs)
        prior += D(used)
