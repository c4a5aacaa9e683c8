"""Settings of what documents say of the seller, and what they look like."""

from enum import Enum
from typing import Self

import strawberry

from app.tenants.settings import DocumentSettings as DocumentRow
from app.tenants.settings import SellerSettings as SellerRow


@strawberry.enum(description="How a document is laid out.")
class DocumentLayout(Enum):
    STANDARD = strawberry.enum_value(
        "standard", description="Each line with the rows its amount came of."
    )
    COMPACT = strawberry.enum_value("compact", description="One row for each line, and no more.")
    DETAILED = strawberry.enum_value(
        "detailed",
        description="As the standard, and the usage behind each line; subtotals are carried from "
        "page to page.",
    )


@strawberry.enum(description="What the lines of an invoice are grouped under.")
class InvoiceSections(Enum):
    KIND = strawberry.enum_value("kind", description="Fees, usage, and what was added by hand.")
    SUBSCRIPTION = strawberry.enum_value(
        "subscription", description="The plan of the subscription they are for."
    )
    GROUP = strawberry.enum_value("group", description="The group of their price or feature.")


@strawberry.enum(description="What becomes of an invoice that comes to nothing.")
class ZeroInvoices(Enum):
    SKIP = strawberry.enum_value("skip", description="It is skipped: no number, nothing is sent.")
    ISSUE = strawberry.enum_value("issue", description="It is issued like any other.")
    ISSUE_AS_PAID = strawberry.enum_value(
        "issue_as_paid", description="It is issued, and told to be paid at once."
    )


@strawberry.type(
    description="Facts about the seller beside name and printed address; empty: there is none. "
    "Electronic invoices need them."
)
class SellerSettings:
    street: str = strawberry.field(description="Street and number.")
    city: str = strawberry.field(description="City or town.")
    postal_code: str = strawberry.field(description="As the country writes it.")
    country: str = strawberry.field(description="ISO 3166-1 alpha-2 code, such as DE.")
    tax_id: str = strawberry.field(description="VAT number, its country first: DE123456789.")
    registration_number: str = strawberry.field(description="In the companies' register.")
    electronic_scheme: str = strawberry.field(
        description="ISO 6523 code of the electronic address, such as 9930 or 0088."
    )
    electronic_id: str = strawberry.field(description="The electronic address within the scheme.")
    iban: str = strawberry.field(description="The account that transfers go to.")

    @classmethod
    def of(cls, row: SellerRow) -> Self:
        return cls(
            street=row.street,
            city=row.city,
            postal_code=row.postal_code,
            country=row.country,
            tax_id=row.tax_id,
            registration_number=row.registration_number,
            electronic_scheme=row.electronic_scheme,
            electronic_id=row.electronic_id,
            iban=row.iban,
        )


@strawberry.type(
    description="What invoices and credit notes look like; kept with each when it is issued."
)
class DocumentSettings:
    layout: DocumentLayout = strawberry.field(description="How they are laid out.")
    locale: str = strawberry.field(
        description="BCP 47 tag by which numbers, money and days are written for customers that "
        "have none of their own, such as en-US."
    )
    sections: InvoiceSections = strawberry.field(
        description="What lines are grouped under that have no heading of their own."
    )
    payment_terms: str = strawberry.field(description="Printed below the totals; may be empty.")
    has_logo: bool = strawberry.field(
        description="Whether a logo is printed, which `sellerLogoSet` sets."
    )

    @classmethod
    def of(cls, row: DocumentRow) -> Self:
        return cls(
            layout=DocumentLayout(row.layout),
            locale=row.locale,
            sections=InvoiceSections(row.sections),
            payment_terms=row.payment_terms,
            has_logo=bool(row.logo),
        )


@strawberry.input(
    description="Changes to the seller's facts; null puts one back to its default, which is empty."
)
class SellerSettingsInput:
    street: strawberry.Maybe[str | None] = strawberry.field(description="Street and number.")
    city: strawberry.Maybe[str | None] = strawberry.field(description="City or town.")
    postal_code: strawberry.Maybe[str | None] = strawberry.field(
        description="As the country writes it; at most 32 characters."
    )
    country: strawberry.Maybe[str | None] = strawberry.field(
        description="ISO 3166-1 alpha-2 code, such as DE."
    )
    tax_id: strawberry.Maybe[str | None] = strawberry.field(
        description="VAT number, its country first; at most 64 characters."
    )
    registration_number: strawberry.Maybe[str | None] = strawberry.field(
        description="In the companies' register; at most 64 characters."
    )
    electronic_scheme: strawberry.Maybe[str | None] = strawberry.field(
        description="ISO 6523 code of four digits; goes with `electronicId`."
    )
    electronic_id: strawberry.Maybe[str | None] = strawberry.field(
        description="The electronic address within the scheme; at most 128 characters."
    )
    iban: strawberry.Maybe[str | None] = strawberry.field(
        description="The account that transfers go to, without blanks."
    )


@strawberry.input(
    description="Changes to how documents look, issued from now on; null puts one back to its "
    "default."
)
class DocumentSettingsInput:
    layout: strawberry.Maybe[DocumentLayout | None] = strawberry.field(
        description="How they are laid out."
    )
    locale: strawberry.Maybe[str | None] = strawberry.field(
        description="BCP 47 tag of a locale written in Latin, Greek or Cyrillic letters."
    )
    sections: strawberry.Maybe[InvoiceSections | None] = strawberry.field(
        description="What lines are grouped under."
    )
    payment_terms: strawberry.Maybe[str | None] = strawberry.field(
        description="Printed below the totals; at most 500 characters."
    )
