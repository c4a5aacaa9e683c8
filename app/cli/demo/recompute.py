"""The independent recomputation: whole numbers and fractions, and no code of the product.

It shares the price list with the demo and nothing else, so that agreement means something.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.cli.demo.scenario import CustomerSpec, PriceSpec, Scenario, Usage

CENTS = 100


@dataclass(frozen=True, slots=True)
class ExpectedLine:
    """One line as it should stand on the invoice. `amount` is in cents."""

    price: str
    group: str | None
    quantity: Decimal
    cents: int


@dataclass(frozen=True, slots=True)
class ExpectedInvoice:
    customer: str
    month: str
    lines: tuple[ExpectedLine, ...]

    @property
    def cents(self) -> int:
        return sum(line.cents for line in self.lines)


def invoices(scenario: Scenario, usage: Usage) -> dict[tuple[str, str], ExpectedInvoice]:
    """What every customer owes for every month, by (external id, month)."""
    plans = {plan.key: plan for plan in scenario.plans}
    groups = _groups(usage)
    found = {}
    for customer in scenario.customers:
        prices = plans[customer.plan].prices
        for month in scenario.months:
            lines = tuple(
                line
                for price in prices
                for line in _lines(price, customer, month, usage=usage, groups=groups)
            )
            found[customer.external_id, month] = ExpectedInvoice(customer.external_id, month, lines)
    return found


def _groups(usage: Usage) -> dict[tuple[str, str, str], list[str]]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for customer, month, meter, group in usage:
        if group is not None:
            groups.setdefault((customer, month, meter), []).append(group)
    return groups


def _lines(
    price: PriceSpec,
    customer: CustomerSpec,
    month: str,
    *,
    usage: Usage,
    groups: dict[tuple[str, str, str], list[str]],
) -> Iterator[ExpectedLine]:
    if price.meter is None:
        yield ExpectedLine(price.name, None, Decimal(1), _cents(Fraction(price.amount)))
        return
    where = (customer.external_id, month, price.meter)
    wanted = sorted(groups.get(where, ())) if price.group_by else [None]
    for group in wanted:
        quantity = usage.get((*where, group), Decimal(0))
        yield ExpectedLine(price.name, group, quantity, _cents(_amount(price, Fraction(quantity))))


def _amount(price: PriceSpec, quantity: Fraction) -> Fraction:
    if quantity == 0:
        return Fraction(0)
    if price.model == "per_unit":
        return quantity * Fraction(price.amount)
    if price.model == "package":
        packages = -(-quantity // Fraction(price.size))
        return packages * Fraction(price.amount)
    if price.model == "volume":
        tier = next(t for t in price.tiers if t.up_to is None or quantity <= Fraction(t.up_to))
        return quantity * Fraction(tier.unit_amount) + Fraction(tier.flat_amount)
    owed, below = Fraction(0), Fraction(0)
    for tier in price.tiers:
        if quantity > below:
            top = quantity if tier.up_to is None else min(quantity, Fraction(tier.up_to))
            owed += (top - below) * Fraction(tier.unit_amount) + Fraction(tier.flat_amount)
            below = top
    return owed


def _cents(amount: Fraction) -> int:
    """To whole cents, halves away from zero; no amount here is negative."""
    scaled = amount * CENTS
    return (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
