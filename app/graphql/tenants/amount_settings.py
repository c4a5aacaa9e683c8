"""Settings of what happens between the lines of an invoice and the amount due."""

from enum import Enum
from typing import Self

import strawberry

from app.tenants.settings import AmountSettings as Row


@strawberry.enum(
    description="Which coupons are taken off first; within each, in the order in which they were "
    "attached."
)
class CouponOrdering(Enum):
    LINE_FIRST = strawberry.enum_value(
        "line_first", description="Those of lines, then those of the invoice."
    )
    NARROWEST_FIRST = strawberry.enum_value(
        "narrowest_first",
        description="Those limited to a line, prices or features, then to plans, then the others.",
    )
    ATTACHED_FIRST = strawberry.enum_value(
        "attached_first", description="Those attached earlier, whatever they are."
    )
    PERCENTAGE_FIRST = strawberry.enum_value(
        "percentage_first", description="Percentages, then fixed amounts."
    )
    FIXED_FIRST = strawberry.enum_value(
        "fixed_first", description="Fixed amounts, then percentages."
    )


@strawberry.enum(description="How a discount falls on the lines it is taken off.")
class DiscountSpread(Enum):
    MINOR_UNIT = strawberry.enum_value(
        "minor_unit",
        description="By largest remainder, in whole minor units: what is taxed is what is printed.",
    )
    EXACT = strawberry.enum_value(
        "exact",
        description="In exact proportion: further discounts and taxes start from unrounded "
        "remainders; printed shares are rounded so that they sum.",
    )


@strawberry.enum(description="What prepaid credits pay for.")
class PrepaidOrder(Enum):
    BEFORE_TAX = strawberry.enum_value(
        "before_tax", description="The lines they may pay for; tax is due on these all the same."
    )
    AFTER_TAX = strawberry.enum_value(
        "after_tax",
        description="What is left once taxes are added and credits of earlier invoices taken.",
    )


@strawberry.enum(description="How the tax on an invoice is rounded.")
class TaxRoundingRule(Enum):
    PER_RATE = strawberry.enum_value("per_rate", description="Each rate on its own.")
    PER_INVOICE = strawberry.enum_value("per_invoice", description="All rates once, together.")


@strawberry.type(
    description="How discounts, credits and taxes lead from the lines of an invoice to what is due."
)
class AmountSettings:
    coupon_order: CouponOrdering = strawberry.field(description="Which coupons come first.")
    discount_spread: DiscountSpread = strawberry.field(description="How discounts fall on lines.")
    prepaid_order: PrepaidOrder = strawberry.field(description="What prepaid credits pay for.")
    tax_rounding: TaxRoundingRule = strawberry.field(description="How tax is rounded.")
    tax_inclusive: bool = strawberry.field(
        description="Whether prices hold the tax, where a new tax rate does not say so."
    )
    reverse_charge_legend: str = strawberry.field(
        description="What an invoice says to a customer who accounts for the tax."
    )

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            coupon_order=CouponOrdering(row.coupon_order),
            discount_spread=DiscountSpread(row.discount_spread),
            prepaid_order=PrepaidOrder(row.prepaid_order),
            tax_rounding=TaxRoundingRule(row.tax_rounding),
            tax_inclusive=row.tax_inclusive,
            reverse_charge_legend=row.reverse_charge_legend,
        )


@strawberry.input(description="Changes to settings of amounts; null puts one back to its default.")
class AmountSettingsInput:
    coupon_order: strawberry.Maybe[CouponOrdering | None] = strawberry.field(
        description="Which coupons come first."
    )
    discount_spread: strawberry.Maybe[DiscountSpread | None] = strawberry.field(
        description="How discounts fall on lines."
    )
    prepaid_order: strawberry.Maybe[PrepaidOrder | None] = strawberry.field(
        description="What prepaid credits pay for."
    )
    tax_rounding: strawberry.Maybe[TaxRoundingRule | None] = strawberry.field(
        description="How tax is rounded."
    )
    tax_inclusive: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether prices hold the tax, where a new tax rate does not say so."
    )
    reverse_charge_legend: strawberry.Maybe[str | None] = strawberry.field(
        description="What an invoice says to a customer who accounts for the tax; 1 to 500 "
        "characters."
    )
