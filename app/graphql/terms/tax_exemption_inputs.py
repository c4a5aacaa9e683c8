"""What queries and mutations of exemptions from taxes take."""

from datetime import datetime
from enum import Enum
from typing import Any, cast

import strawberry
from strawberry import UNSET

from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.invoicing.terms.taxation import CreateTaxExemption, TaxAssociationStatus, TaxTreatment


@strawberry.enum(description="How a customer is spared a tax.")
class TaxExemptionKind(Enum):
    EXEMPT = strawberry.enum_value("exempt", description="It is not asked for.")
    REVERSE_CHARGE = strawberry.enum_value(
        "reverse_charge", description="The customer accounts for it."
    )


@strawberry.input(description="Which exemptions to list; all conditions given must hold.")
class TaxExemptionFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    customer_id: IdFilter | None = strawberry.field(description="By customer.", default=UNSET)
    kind: EnumFilter[TaxExemptionKind] | None = strawberry.field(
        description="By kind.", default=UNSET
    )
    certificate: StringFilter | None = strawberry.field(
        description="By the number of what proves it.", default=UNSET
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
    and_: list["TaxExemptionFilter"] | None = and_filters()
    or_: list["TaxExemptionFilter"] | None = or_filters()
    not_: "TaxExemptionFilter | None" = not_filter()


@strawberry.enum(description="What exemptions can be ordered by.")
class TaxExemptionOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were made.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of exemptions.")
class TaxExemptionOrder:
    field: TaxExemptionOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="Why a customer is not asked for tax.")
class TaxExemptionCreateInput:
    customer_id: strawberry.ID = strawberry.field(description="Whom to spare.")
    kind: TaxExemptionKind = strawberry.field(
        description="Exempt, or reverse charge: the customer accounts for the tax."
    )
    reason: str = strawberry.field(
        description="Why, as printed where there is no legend; 1 to 500 characters."
    )
    certificate: str | None = strawberry.field(
        description="The number of what proves it, printed with the reason.", default=None
    )
    legend: str | None = strawberry.field(
        description="What invoices say instead of the reason, or of the environment's legend of "
        "reverse charge; at most 500 characters.",
        default=None,
    )
    tax_rate_ids: list[strawberry.ID] = strawberry.field(
        description="The rates to spare; none: all of them. At most 100.", default_factory=list
    )
    starts_at: datetime | None = strawberry.field(
        description="In force at tax points from then on; null: at all of them.", default=None
    )
    ends_at: datetime | None = strawberry.field(
        description="In force at tax points before then, such as when the certificate expires; "
        "null: without an end.",
        default=None,
    )

    def command(self) -> CreateTaxExemption:
        return CreateTaxExemption(
            customer_id=self.customer_id,
            kind=TaxTreatment(cast("str", self.kind.value)),
            reason=self.reason,
            certificate=self.certificate,
            legend=self.legend,
            tax_rate_ids=tuple(self.tax_rate_ids),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
        )


@strawberry.input(
    description="Changes to an exemption. A field that is absent stays as it is; null clears."
)
class TaxExemptionUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which exemption.")
    kind: strawberry.Maybe[TaxExemptionKind | None] = strawberry.field(
        description="Exempt or reverse charge; not null."
    )
    reason: strawberry.Maybe[str | None] = strawberry.field(
        description="Why; 1 to 500 characters; not null."
    )
    certificate: strawberry.Maybe[str | None] = strawberry.field(
        description="The number of what proves it."
    )
    legend: strawberry.Maybe[str | None] = strawberry.field(
        description="What invoices say instead; at most 500 characters."
    )
    tax_rate_ids: strawberry.Maybe[list[strawberry.ID] | None] = strawberry.field(
        description="The rates to spare; null or none: all of them."
    )
    starts_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="In force at tax points from then on; null: at all of them."
    )
    ends_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="In force at tax points before then; null: without an end."
    )

    def patch(self) -> dict[str, Any]:
        found = present(self, without=("id",))
        if found.get("kind") is not None:
            found["kind"] = TaxTreatment(found["kind"].value)
        return found


@strawberry.input(description="The exemption to archive.")
class TaxExemptionArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which exemption.")


@strawberry.input(description="The archived exemption to put back into use.")
class TaxExemptionRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which exemption.")
