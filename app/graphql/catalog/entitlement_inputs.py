"""What queries and mutations of entitlements take."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET

from app.catalog.entitlement import CreateEntitlement, Overrides
from app.catalog.entitlement_terms import Resets
from app.catalog.feature import FeatureType
from app.graphql.catalog.entitlement_terms import EntitlementTermsInput
from app.graphql.filters import (
    BooleanFilter,
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    MetadataFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.paging import Direction
from app.graphql.patch import present
from app.graphql.scalars import Metadata

strawberry.enum(
    Overrides,
    name="EntitlementOverrides",
    description="What an entitlement of a subscription takes the place of while it is in force.",
)


@strawberry.input(description="Which entitlements to list; all conditions given must hold.")
class EntitlementFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    plan_id: IdFilter | None = strawberry.field(
        description="By the plan that gives them.", default=UNSET
    )
    plan_version_id: IdFilter | None = strawberry.field(
        description="By the version of the plan that gives them.", default=UNSET
    )
    addon_id: IdFilter | None = strawberry.field(
        description="By the addon that gives them.", default=UNSET
    )
    subscription_id: IdFilter | None = strawberry.field(
        description="By the subscription that has them for itself.", default=UNSET
    )
    feature_id: IdFilter | None = strawberry.field(description="By what they give.", default=UNSET)
    type: EnumFilter[FeatureType] | None = strawberry.field(
        description="By the type of what they give.", default=UNSET
    )
    resets: EnumFilter[Resets] | None = strawberry.field(
        description="By when what was used is forgotten.", default=UNSET
    )
    enabled: BooleanFilter | None = strawberry.field(
        description="By whether they give anything.", default=UNSET
    )
    overrides: EnumFilter[Overrides] | None = strawberry.field(
        description="By what they take the place of.", default=UNSET
    )
    content_hash: StringFilter | None = strawberry.field(
        description="By their substance.", default=UNSET
    )
    metadata: MetadataFilter | None = strawberry.field(
        description="By an entry of their metadata.", default=UNSET
    )
    effective_from: DateTimeFilter | None = strawberry.field(
        description="By when they begin.", default=UNSET
    )
    effective_until: DateTimeFilter | None = strawberry.field(
        description="By when they end.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were created.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed.", default=UNSET
    )
    and_: list["EntitlementFilter"] | None = and_filters()
    or_: list["EntitlementFilter"] | None = or_filters()
    not_: "EntitlementFilter | None" = not_filter()


@strawberry.enum(description="What entitlements can be ordered by.")
class EntitlementOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    EFFECTIVE_FROM = strawberry.enum_value("effective_from", description="When they begin.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of entitlements.")
class EntitlementOrder:
    field: EntitlementOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(
    description="A new entitlement of a plan, an addon or a subscription: name one of them."
)
class EntitlementCreateInput:
    plan_id: strawberry.ID | None = strawberry.field(
        description="The plan that is to give it: its current version or its draft, whichever "
        "there is.",
        default=None,
    )
    plan_version_id: strawberry.ID | None = strawberry.field(
        description="The version of the plan that is to give it; needed where there are a current "
        "one and a draft.",
        default=None,
    )
    addon_id: strawberry.ID | None = strawberry.field(
        description="The addon that is to give it.", default=None
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="The subscription that is to have it for itself.", default=None
    )
    feature_id: strawberry.ID = strawberry.field(description="What to give.")
    terms: EntitlementTermsInput | None = strawberry.field(
        description="How much of it; null for boolean features.", default=None
    )
    enabled: bool = strawberry.field(
        description="Whether it gives anything. One of a subscription that is not enabled takes "
        "the feature away.",
        default=True,
    )
    overrides: Overrides | None = strawberry.field(
        description="Of a subscription alone: what it takes the place of; null: of all.",
        default=None,
    )
    metadata: Metadata | None = strawberry.field(description="Your own notes.", default=None)
    effective_from: datetime | None = strawberry.field(
        description="Of a plan or an addon: given to whoever buys it from then on; not in the "
        "past. Of a subscription: it has it from then on; not before what is billed. Null: now.",
        default=None,
    )
    effective_until: datetime | None = strawberry.field(
        description="No longer from then on; null: no end.", default=None
    )

    def command(self) -> CreateEntitlement:
        """Raises: Invalid."""
        return CreateEntitlement(
            plan_id=self.plan_id,
            plan_version_id=self.plan_version_id,
            addon_id=self.addon_id,
            subscription_id=self.subscription_id,
            feature_id=self.feature_id,
            terms=EntitlementTermsInput.terms(self.terms),
            enabled=self.enabled,
            overrides=self.overrides,
            metadata=self.metadata or {},
            effective_from=self.effective_from,
            effective_until=self.effective_until,
        )


@strawberry.input(
    description="Changes to an entitlement. A field that is absent stays as it is; null clears."
)
class EntitlementUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which entitlement.")
    terms: strawberry.Maybe[EntitlementTermsInput] = strawberry.field(
        description="How much is given."
    )
    enabled: strawberry.Maybe[bool] = strawberry.field(description="Whether it gives anything.")
    overrides: strawberry.Maybe[Overrides] = strawberry.field(
        description="Of a subscription alone: what it takes the place of."
    )
    metadata: strawberry.Maybe[Metadata | None] = strawberry.field(
        description="Your own notes; replaces all of them."
    )
    effective_from: strawberry.Maybe[datetime | None] = strawberry.field(
        description="When a change of anything but notes takes effect. Absent or null: now."
    )

    def patch(self) -> dict[str, Any]:
        """Raises: Invalid."""
        changes = present(self, without=("id",))
        if isinstance(changes.get("terms"), EntitlementTermsInput):
            changes["terms"] = changes["terms"].row()
        return changes


@strawberry.input(description="The entitlement to end.")
class EntitlementArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which entitlement.")
    effective_until: datetime | None = strawberry.field(
        description="When it ends; not in the past, nor, of a subscription, before what is "
        "billed. Null: now.",
        default=None,
    )


@strawberry.input(description="The entitlement to take the end off.")
class EntitlementRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which entitlement.")
