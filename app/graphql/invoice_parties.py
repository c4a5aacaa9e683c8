"""Who documents are from and to, as the graph shows it."""

from typing import Self

import strawberry

from app.invoicing.invoice import Party as PartyRow


@strawberry.type(description="Who an invoice is from or to, as printed on it.")
class InvoiceParty:
    name: str = strawberry.field(description="The company or person.")
    lines: list[str] = strawberry.field(description="The postal address, from top to bottom.")
    email: str | None = strawberry.field(description="Their e-mail address.")
    reference: str | None = strawberry.field(
        description="Your own name for the customer; null for the seller."
    )
    tax_id: str | None = strawberry.field(description="VAT or similar number.")
    registration_number: str | None = strawberry.field(description="In the companies' register.")
    country: str | None = strawberry.field(description="ISO 3166-1 alpha-2 code.")

    @classmethod
    def of(cls, row: PartyRow) -> Self:
        return cls(
            name=row.name,
            lines=list(row.lines),
            email=row.email,
            reference=row.reference,
            tax_id=row.tax_id,
            registration_number=row.registration_number,
            country=row.country,
        )
