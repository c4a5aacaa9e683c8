"""What a price asks for usage that somebody imagines."""

from decimal import Decimal
from typing import Annotated, Any, Self

import strawberry

from app.catalog.price import ChargeKind
from app.catalog.prices import NO_ADJUSTMENTS
from app.graphql.catalog.adjustments import AdjustmentsInput
from app.graphql.catalog.price_model_inputs import PriceModelInput
from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.explanations import ExplanationStep, steps_of
from app.graphql.permissions import requires
from app.graphql.scalars import Money
from app.invoicing import quoting
from app.invoicing.actions.quoting import Terms, quote_price, quote_terms
from app.kernel.checks import located
from app.kernel.errors import Invalid

_MOST = f"at most {quoting.MOST_PARTS}"


@strawberry.input(description="A price that need not exist.")
class QuotedTermsInput:
    model: PriceModelInput = strawberry.field(description="How a quantity becomes an amount.")
    currency: str = strawberry.field(description="ISO 4217 code.")
    adjustments: AdjustmentsInput | None = strawberry.field(
        description="What is done to the quantity before the model and to the amount after it.",
        default=None,
    )
    charge: ChargeKind = strawberry.field(
        description="What the quantity is.", default=ChargeKind.USAGE
    )

    def row(self) -> Terms:
        """Raises: Invalid."""
        adjustments = NO_ADJUSTMENTS if self.adjustments is None else self.adjustments.row()
        return Terms(self.model.row(), self.currency, adjustments, self.charge)


@strawberry.input(description="A price that is there, or one that is only thought of.", one_of=True)
class QuotedPriceInput:
    id: strawberry.Maybe[strawberry.ID] = strawberry.field(description="A price's id.")
    terms: strawberry.Maybe[QuotedTermsInput] = strawberry.field(
        description="Terms as a new price would have them."
    )


@strawberry.input(description="A dimension's value; null: events without it.")
class CellValueInput:
    dimension: str = strawberry.field(description="A dimension that the matrix names.")
    value: str | None = strawberry.field(description="As events write it.", default=None)


@strawberry.input(description="What was used with these values of a matrix's dimensions.")
class QuotedCellInput:
    dimensions: list[CellValueInput] = strawberry.field(
        description="Those that are left out have no value."
    )
    quantity: Decimal = strawberry.field(description="What the meter adds up to.")

    def row(self) -> quoting.CellUsage:
        values = {each.dimension: each.value for each in self.dimensions}
        return quoting.CellUsage(values, self.quantity)


@strawberry.input(description="What a formula's variable counts.")
class QuotedMeterInput:
    variable: str = strawberry.field(description="Its name in the formula.")
    quantity: Decimal = strawberry.field(description="What its meter adds up to.")


@strawberry.input(description="Imagined usage, in the form that the price needs.", one_of=True)
class QuotedUsageInput:
    quantity: strawberry.Maybe[Decimal] = strawberry.field(
        description="For prices of one quantity: what is held, or what the meter adds up to."
    )
    amounts: strawberry.Maybe[list[Decimal]] = strawberry.field(
        description=f"The amounts of events, in order of time; {_MOST}."
    )
    cells: strawberry.Maybe[list[QuotedCellInput]] = strawberry.field(
        description=f"For a matrix; {_MOST}."
    )
    windows: strawberry.Maybe[list[Decimal]] = strawberry.field(
        description=f"For a price with a bucket: the quantity of each window; {_MOST}."
    )
    meters: strawberry.Maybe[list[QuotedMeterInput]] = strawberry.field(
        description="For a formula; variables that are left out count 0."
    )

    def row(self) -> quoting.Usage:
        """Raises: Invalid."""
        for name in ("quantity", "amounts", "windows"):
            given: Any = getattr(self, name)
            if given is not None:
                return quoting.Usage(**{name: given.value})
        if self.cells is not None:
            return quoting.Usage(cells=[cell.row() for cell in self.cells.value])
        if self.meters is not None:
            meters = {each.variable: each.quantity for each in self.meters.value}
            return quoting.Usage(meters=meters)
        raise Invalid("usage: name one of its fields", field="usage", code="REQUIRED")


@strawberry.type(description="What a price asks for some usage in one full period.")
class PriceQuote:
    amount: Money = strawberry.field(
        description="Rounded once to the currency's minor unit, as a line of an invoice is."
    )
    exact: str = strawberry.field(
        description="Before rounding: a decimal, or a fraction such as `2/3`."
    )
    explanation: list[ExplanationStep] = strawberry.field(
        description="How the amount came about: a tree as a list, every step after the one that "
        "builds on it. The first step's result is the amount."
    )

    @classmethod
    def of(cls, row: quoting.Quote) -> Self:
        amount = Money(amount=row.amount.amount, currency=row.amount.currency)
        return cls(amount=amount, exact=row.exact, explanation=steps_of(row.tree))


PriceQuoteResult = Annotated[
    PriceQuote | Rejected,
    strawberry.union("PriceQuoteResult", description="The quote, or why there is none."),
]


@strawberry.type
class QuoteQuery:
    @strawberry.field(
        description="What a price asks for imagined usage, by the code that bills. Of a grouped "
        "price it is the charge of one group.",
        extensions=[requires("price:read")],
    )
    async def price_quote(
        self,
        info: Info,
        price: Annotated[QuotedPriceInput, strawberry.argument(description="Which price.")],
        usage: Annotated[QuotedUsageInput, strawberry.argument(description="What is used.")],
    ) -> PriceQuoteResult:
        return PriceQuote.of(await _quote(info.context, price, usage.row()))


async def _quote(context: Context, price: QuotedPriceInput, usage: quoting.Usage) -> quoting.Quote:
    if price.id is not None and price.id.value is not None:
        return await quote_price(context.scope, price.id.value, usage)
    if price.terms is None or price.terms.value is None:
        raise Invalid("price: name one of its fields", field="price", code="REQUIRED")
    with located("price.terms"):
        terms = price.terms.value.row()
    return quote_terms(terms, usage, field="price.terms")
