"""The lines of a family whose members have lines of their own. Pure.

What the family's usage costs is worked out for all of it, and shared in proportion to what each
used, so that the parts sum to what one line would have asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.catalog.prices import Step
from app.catalog.prices.charging import shared
from app.catalog.prices.explanation import step
from app.invoicing import explanation
from app.invoicing.rated import RatedLine
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.quantity import EXACT
from app.metering.figure import Usage

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Share:
    """What one of a family used: figures by the values of dimensions and the row of a matrix."""

    customer_id: str
    external_id: str
    rows: Sequence[Usage]

    def used(self, group: Sequence[str | None], row: int | str | None) -> tuple[Decimal, int]:
        """The quantity of a line, and of how many events; `row` "all": of every row."""
        quantity, events = _NOTHING, 0
        for each in self.rows:
            if each.group[: len(group)] == tuple(group) and row in ("all", each.row):
                quantity = EXACT.add(quantity, each.quantity)
                events += each.event_count
        return quantity, events


def member_key(group_by: Sequence[str]) -> str:
    """The name under which a line's group has its customer, beside the price's own."""
    return "@customer" if "customer" in group_by else "customer"


def of_family(
    line: RatedLine, shares: Sequence[Share] | None, group_by: Sequence[str]
) -> Iterator[RatedLine]:
    """The line in one part for each who used any of it; as it is where nobody did."""
    if shares is None:
        yield line
        return
    charge, *counted = line.explanation.parts
    leaf = next(_leaves(counted))
    row = _row(leaf.inputs)
    group = tuple(line.group[name] for name in group_by) if line.group else ()
    used = [(share, *share.used(group, row)) for share in shares]
    used = [each for each in used if each[1] > 0]
    if not used:
        yield line
        return
    decimals = minor_units(line.currency)
    parts = shared(charge, (quantity for _, quantity, _ in used), decimals=decimals)
    for (share, quantity, events), part in zip(used, parts, strict=True):
        inputs = {
            **leaf.inputs,
            "customer_id": share.customer_id,
            "events": str(events),
            "quantity": quantity,
        }
        own = step("counted", inputs, quantity)
        tree = explanation.line(part, own, *counted, decimals=decimals)
        yield replace(
            line,
            group={**line.group, member_key(group_by): share.external_id},
            quantity=quantity,
            amount=EXACT.create_decimal(tree.result),
            explanation=tree,
        )


def _row(inputs: Mapping[str, str | None]) -> int | str | None:
    stated = inputs.get("row", "all")
    if stated == "all" or stated is None:
        return "all"
    return None if stated == "default" else int(stated) - 1


def _leaves(steps: Sequence[Step]) -> Iterator[Step]:
    for each in steps:
        if each.rule == "counted":
            yield each
        yield from _leaves(each.parts)
