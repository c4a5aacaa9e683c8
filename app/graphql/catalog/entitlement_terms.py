"""What entitlements give, in the graph: a union to read, an input of exactly one to write.

Those of boolean features have no terms: they are on.
"""

from decimal import Decimal
from typing import Annotated, Self

import strawberry

from app.catalog import entitlement_terms as rows
from app.catalog.entitlement_terms import LARGEST_CONFIG, LONGEST_VALUE, Resets
from app.graphql.scalars import JSON
from app.kernel import checks
from app.kernel.errors import Invalid

strawberry.enum(
    Resets,
    name="AllowanceResets",
    description="When what was used is forgotten. Hours, days and weeks, from Monday, are those "
    "of the clock of the subscription's zone. Months and longer begin where the subscription's "
    "own do, or with the calendar's where it is aligned with that.",
)


@strawberry.type(description="Up to a limit of units of the feature's meter.")
class MeteredTerms:
    limit: Decimal | None = strawberry.field(
        description="How many are included; 0: none; null: there is no limit."
    )
    resets: Resets = strawberry.field(description="When what was used is forgotten.")
    window: str | None = strawberry.field(
        description="How far back usage counts, as an ISO 8601 duration, where it is sliding; "
        "null otherwise."
    )
    soft: bool = strawberry.field(
        description="Whether access goes on beyond the limit. Usage beyond it is billed either way."
    )


@strawberry.type(description="A value, such as a support level.")
class StaticTerms:
    value: str = strawberry.field(description="The value.")


@strawberry.type(description="A JSON value.")
class ConfigTerms:
    config: JSON = strawberry.field(description="The value.")


EntitlementTerms = Annotated[
    MeteredTerms | StaticTerms | ConfigTerms,
    strawberry.union("EntitlementTerms", description="What is given, by the type of the feature."),
]


def shown(terms: rows.Terms) -> MeteredTerms | StaticTerms | ConfigTerms | None:
    """The terms as the graph shows them; None for those of boolean features."""
    match terms:
        case rows.Metered(limit, resets, window, soft):
            return MeteredTerms(limit=limit, resets=resets, window=window, soft=soft)
        case rows.Static(value):
            return StaticTerms(value=value)
        case rows.Config(value):
            return ConfigTerms(config=JSON(value))
        case rows.Boolean():
            return None


@strawberry.input(description="Up to a limit of units of the feature's meter.")
class MeteredTermsInput:
    limit: strawberry.Maybe[Decimal | None] = strawberry.field(
        description="How many are included; 0: none; null: there is no limit. Must be given."
    )
    resets: Resets = strawberry.field(
        description="When what was used is forgotten.", default=Resets.MONTH
    )
    window: str | None = strawberry.field(
        description="How far back usage counts, as an ISO 8601 duration such as P30D, for "
        "sliding ones alone; 5 years at most.",
        default=None,
    )
    soft: bool = strawberry.field(
        description="Whether access goes on beyond the limit.", default=False
    )

    def row(self) -> rows.Metered:
        if self.limit is None:
            raise Invalid(
                "limit: give how many are included, or null for no limit",
                field="limit",
                code="REQUIRED",
            )
        return rows.Metered(self.limit.value, self.resets, self.window, self.soft)


@strawberry.input(description="A value, such as a support level.")
class StaticTermsInput:
    value: str = strawberry.field(description=f"At most {LONGEST_VALUE} characters.")

    def row(self) -> rows.Static:
        return rows.Static(checks.text(self.value, "value", longest=LONGEST_VALUE))


@strawberry.input(description="A JSON value.")
class ConfigTermsInput:
    value: JSON = strawberry.field(description=f"At most {LARGEST_CONFIG} bytes.")

    def row(self) -> rows.Config:
        return rows.Config(self.value)


@strawberry.input(description="What is given: exactly one, the feature's type.", one_of=True)
class EntitlementTermsInput:
    metered: strawberry.Maybe[MeteredTermsInput] = strawberry.field(
        description="For metered features."
    )
    static: strawberry.Maybe[StaticTermsInput] = strawberry.field(
        description="For static features."
    )
    config: strawberry.Maybe[ConfigTermsInput] = strawberry.field(
        description="For config features."
    )

    def row(self) -> rows.Terms:
        """Raises: Invalid, whose field is the path from the mutation's input."""
        for name, given in vars(self).items():
            if given is not None:
                return _located(given.value, f"terms.{name}")
        raise Invalid("terms: name one of its fields", field="terms", code="REQUIRED")

    @classmethod
    def terms(cls, given: Self | None) -> rows.Terms:
        """Those of an input that may be null, which is right for boolean features."""
        return rows.Boolean() if given is None else given.row()


def _located(
    given: MeteredTermsInput | StaticTermsInput | ConfigTermsInput, path: str
) -> rows.Terms:
    try:
        return given.row()
    except Invalid as error:
        raise Invalid(
            f"{path}.{error.message}", field=f"{path}.{error.field}", code=error.code
        ) from error
