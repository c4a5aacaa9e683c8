"""What queries and mutations of associations with taxes take."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    IntFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.invoicing.terms.taxation import (
    CreateTaxAssociation,
    TaxAssociationStatus,
    TaxLevel,
    TaxTreatment,
)

strawberry.enum(
    TaxLevel,
    description="What a tax is associated with. For an invoice the most specific of these that "
    "has any association in force wins: invoice, subscription, customer, environment.",
)
strawberry.enum(
    TaxAssociationStatus,
    name="TaxTermStatus",
    description="Whether an association with a tax, or an exemption from one, is in use.",
)
strawberry.enum(
    TaxTreatment,
    description="What became of a tax: asked for (standard), spared (exempt), or left to the "
    "customer to account for (reverse charge).",
)


@strawberry.input(description="Which associations to list; all conditions given must hold.")
class TaxAssociationFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    tax_rate_id: IdFilter | None = strawberry.field(description="By tax rate.", default=UNSET)
    level: EnumFilter[TaxLevel] | None = strawberry.field(
        description="By what they are with.", default=UNSET
    )
    customer_id: IdFilter | None = strawberry.field(
        description="By the customer they are with.", default=UNSET
    )
    subscription_id: IdFilter | None = strawberry.field(
        description="By the subscription they are with.", default=UNSET
    )
    invoice_id: IdFilter | None = strawberry.field(
        description="By the invoice they are with.", default=UNSET
    )
    priority: IntFilter | None = strawberry.field(description="By priority.", default=UNSET)
    auto_apply: BooleanFilter | None = strawberry.field(
        description="By whether the tax is asked.", default=UNSET
    )
    starts_at: DateTimeFilter | None = strawberry.field(
        description="By when they begin.", default=UNSET
    )
    ends_at: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    status: EnumFilter[TaxAssociationStatus] | None = strawberry.field(
        description="By whether they are in use.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were made.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["TaxAssociationFilter"] | None = and_filters()
    or_: list["TaxAssociationFilter"] | None = or_filters()
    not_: "TaxAssociationFilter | None" = not_filter()


@strawberry.enum(description="What associations can be ordered by.")
class TaxAssociationOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were made.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    PRIORITY = strawberry.enum_value("priority", description="Their priority.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of associations.")
class TaxAssociationOrder:
    field: TaxAssociationOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(
    description="A tax rate, by id or by code, and whom to ask it of: a customer, a subscription "
    "or a draft invoice; none of them: everybody in the environment."
)
class TaxAssociationCreateInput:
    tax_rate_id: strawberry.ID | None = strawberry.field(
        description="Which rate; or name it by `code`.", default=None
    )
    code: str | None = strawberry.field(description="The rate's code.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(
        description="Ask it of this customer.", default=None
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="Ask it on the invoices of this subscription.", default=None
    )
    invoice_id: strawberry.ID | None = strawberry.field(
        description="Ask it on this draft, at once.", default=None
    )
    priority: int = strawberry.field(
        description="0 to 10,000; lower numbers come first, which is what compound rates go by.",
        default=100,
    )
    auto_apply: bool = strawberry.field(
        description="Whether the tax is asked; without it the association is only kept.",
        default=True,
    )
    starts_at: datetime | None = strawberry.field(
        description="In force at tax points from then on; null: at all of them.", default=None
    )
    ends_at: datetime | None = strawberry.field(
        description="In force at tax points before then; null: without an end.", default=None
    )

    def command(self) -> CreateTaxAssociation:
        return CreateTaxAssociation(
            tax_rate_id=self.tax_rate_id,
            code=self.code,
            customer_id=self.customer_id,
            subscription_id=self.subscription_id,
            invoice_id=self.invoice_id,
            priority=self.priority,
            auto_apply=self.auto_apply,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )


@strawberry.input(
    description="Changes to an association. A field that is absent stays as it is; null clears."
)
class TaxAssociationUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which association.")
    priority: strawberry.Maybe[int | None] = strawberry.field(
        description="0 to 10,000; lower numbers come first; not null."
    )
    auto_apply: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the tax is asked; not null."
    )
    starts_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="In force at tax points from then on; null: at all of them."
    )
    ends_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="In force at tax points before then; null: without an end."
    )

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The association to archive.")
class TaxAssociationArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which association.")


@strawberry.input(description="The archived association to put back into use.")
class TaxAssociationRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which association.")
