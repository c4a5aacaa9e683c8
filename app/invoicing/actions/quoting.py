"""Quotes of prices: of one that is sold, or of terms that somebody only thinks about."""

from dataclasses import dataclass

from app.catalog.actions.price_terms import check_pricing
from app.catalog.price import ChargeKind
from app.catalog.prices import NO_ADJUSTMENTS, Adjustments, PriceModel
from app.catalog.reads import prices
from app.invoicing.quoting import Quote, Usage, quote
from app.kernel import checks
from app.kernel.checks import located
from app.kernel.scope import Scope


@dataclass(frozen=True, slots=True)
class Terms:
    """A price that need not exist; usage is what it charges for."""

    model: PriceModel
    currency: str
    adjustments: Adjustments = NO_ADJUSTMENTS
    charge: ChargeKind = ChargeKind.USAGE


async def quote_price(scope: Scope, price_id: str, usage: Usage) -> Quote:
    """What a price asks for the usage. Raises: NotFound, Invalid."""
    price = await prices.get(scope, price_id, field="priceId")
    return quote(
        price.model,
        price.adjustments,
        usage,
        currency=price.currency,
        conversion=price.conversion,
    )


def quote_terms(terms: Terms, usage: Usage, *, field: str) -> Quote:
    """What a price of these terms would ask; `field` is where the caller gave them.

    Raises: Invalid, as if the price were created.
    """
    with located(field):
        currency = checks.currency(terms.currency)
        check_pricing(
            terms.model, terms.adjustments, charge=terms.charge, currency=currency, grouped=False
        )
    return quote(terms.model, terms.adjustments, usage, currency=currency)
