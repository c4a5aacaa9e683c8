"""Settings of what becomes of usage that changes after it was billed."""

from typing import Self

import strawberry

from app.graphql.invoice_correction_policy import CorrectionPolicy
from app.tenants.settings import CorrectionSettings as Row


@strawberry.type(description="What becomes of usage that changes after it was billed.")
class CorrectionSettings:
    policy: CorrectionPolicy = strawberry.field(description="How corrections are billed.")
    interval_hours: int = strawberry.field(description="How often billed usage is looked at.")

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(policy=CorrectionPolicy(row.policy), interval_hours=row.interval_hours)


@strawberry.input(
    description="Changes to settings of corrections; null puts one back to its default."
)
class CorrectionSettingsInput:
    policy: strawberry.Maybe[CorrectionPolicy | None] = strawberry.field(
        description="How corrections are billed."
    )
    interval_hours: strawberry.Maybe[int | None] = strawberry.field(
        description="How often billed usage is looked at; 1 to 8760."
    )
