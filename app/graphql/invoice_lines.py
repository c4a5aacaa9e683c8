"""The lines of invoices in the graph, and how each amount came about."""

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

import strawberry

from app.graphql.explanations import Behind, ExplanationStep, steps_of
from app.graphql.node import Node
from app.graphql.scalars import JSON, Money
from app.graphql.usage import DimensionValue
from app.invoicing import breakdown, explaining
from app.invoicing.invoice import InvoiceLine as Row
from app.invoicing.invoice import LineKind

strawberry.enum(LineKind, name="InvoiceLineKind", description="What a line asks money for.")


@strawberry.type(description="A line's amount in a price unit, and what it was worth.")
class LineConversion:
    unit: str = strawberry.field(description="The unit's code.")
    amount: Decimal = strawberry.field(
        description="In that unit: exact, but for what lies beyond 12 decimals."
    )
    rate: Decimal = strawberry.field(
        description="How much of the line's currency, in major units, one of it was worth."
    )


@strawberry.interface(description="What is asked for one line item, or one group of its usage.")
class BilledLine:
    position: int = strawberry.field(description="Its place on the invoice, from 1.")
    kind: LineKind = strawberry.field(description="Whether it is for usage or a fixed charge.")
    subscription_line_item_id: strawberry.ID | None = strawberry.field(
        description="What the subscription bought."
    )
    price_id: strawberry.ID | None = strawberry.field(description="By which price.")
    meter_id: strawberry.ID | None = strawberry.field(
        description="What counted the usage; null for a fixed charge."
    )
    description: str = strawberry.field(description="As printed.")
    group: list[DimensionValue] = strawberry.field(
        description="Which events of a grouped price; empty: all of them."
    )
    quantity: Decimal = strawberry.field(description="How much was charged.")
    amount: Money = strawberry.field(
        description="What it comes to, rounded once to the currency's minor unit."
    )
    discount: Money = strawberry.field(description="Its share of the discounts.")
    prepaid: Money = strawberry.field(description="Its share of the prepaid credits.")
    tax: Money = strawberry.field(description="Its share of the tax, on top and included.")
    tax_included: Money = strawberry.field(
        description="The part of the tax that its amount holds already."
    )
    total: Money = strawberry.field(
        description="Its amount less discount and prepaid credits, with the tax on top."
    )
    service_start: datetime = strawberry.field(description="Charged from then.")
    service_end: datetime = strawberry.field(description="Charged until before then.")
    section: str | None = strawberry.field(
        description="The heading it is printed under; null: that of its kind."
    )
    price_snapshot: JSON = strawberry.field(description="The price as it was when billed.")
    row: strawberry.Private[Row]
    behind: strawberry.Private[Behind]

    @strawberry.field(
        description="The amount in the unit of the price, before rounding; null where the price "
        "is in the currency."
    )
    def conversion(self) -> LineConversion | None:
        found = breakdown.converted(self.row.explanation)
        return None if found is None else LineConversion(**asdict(found))

    @strawberry.field(
        description="How what is asked for it came about, down to what was counted: a tree as a "
        "list, every step after the one that builds on it. The first step's result is the total: "
        "the amount, less its shares of discounts and prepaid credits, with its taxes on top; "
        "where nothing was applied to the invoice, the amount."
    )
    def explanation(self) -> list[ExplanationStep]:
        return steps_of(explaining.of_line(self.row), self.behind)


@strawberry.type(description="A line of an invoice; it never changes once the invoice is issued.")
class InvoiceLine(Node, BilledLine):
    invoice_id: strawberry.ID = strawberry.field(description="The invoice it is on.")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="Whose line it is; null where it was written by hand."
    )
    correction_id: strawberry.ID | None = strawberry.field(
        description="The correction that it bills; null where it is no adjustment."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        behind = Behind(row.price, row.invoice_id, None, row.subscription_id)
        return cls(
            id=strawberry.ID(row.id),
            invoice_id=strawberry.ID(row.invoice_id),
            subscription_id=_id(row.subscription_id),
            correction_id=_id(row.correction_id),
            behind=behind,
            **_facts(row),
        )


@strawberry.type(description="A line as it would be billed.")
class InvoicePreviewLine(BilledLine):
    @classmethod
    def of(cls, row: Row, customer_id: str | None, subscription_id: str | None) -> Self:
        """Whose events were counted: of the subscription's customer, or the one of one that is
        only thought of. `customer_id` None: nobody's."""
        behind = Behind(row.price)
        if customer_id is not None:
            behind = Behind(row.price, None, customer_id, subscription_id)
        return cls(behind=behind, **_facts(row))


def _id(value: str | None) -> strawberry.ID | None:
    return None if value is None else strawberry.ID(value)


def _facts(row: Row) -> dict[str, Any]:
    return {
        "position": row.position,
        "kind": row.kind,
        "subscription_line_item_id": _id(row.subscription_line_item_id),
        "price_id": _id(row.price_id),
        "meter_id": _id(row.meter_id),
        "description": row.description,
        "group": [DimensionValue(name=name, value=v) for name, v in row.group.items()],
        "quantity": row.quantity,
        **{
            name: Money(amount=getattr(row, name), currency=row.currency)
            for name in ("amount", "discount", "prepaid", "tax", "tax_included", "total")
        },
        "service_start": row.service.start,
        "service_end": row.service.end,
        "section": row.section,
        "price_snapshot": JSON(row.price),
        "row": row,
    }
