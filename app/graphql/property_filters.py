"""Conditions on the properties of events, as meters have them, in the graph."""

from typing import Self

import strawberry

from app.metering.filters import Filters, Match


@strawberry.type(description="A property that has one of some values.")
class PropertyMatch:
    property: str = strawberry.field(description="Its name, at the top level of an event.")
    values: list[str] = strawberry.field(description="Its text: one of these.")

    @classmethod
    def of(cls, match: Match) -> Self:
        return cls(property=match.property, values=list(match.values))


@strawberry.type(description="Which events a meter looks at, by the text of their properties.")
class PropertyFilters:
    include: list[PropertyMatch] = strawberry.field(description="All of these must match.")
    exclude: list[list[PropertyMatch]] = strawberry.field(
        description="An event is left out when all parts of any entry match."
    )
    present: list[str] = strawberry.field(description="Properties that must be there.")
    absent: list[str] = strawberry.field(
        description="Properties that must not be there; null is as good as absent."
    )

    @classmethod
    def of(cls, filters: Filters) -> Self:
        return cls(
            include=[PropertyMatch.of(match) for match in filters.include],
            exclude=[[PropertyMatch.of(match) for match in entry] for entry in filters.exclude],
            present=list(filters.present),
            absent=list(filters.absent),
        )


@strawberry.input(description="A property that has one of some values.")
class PropertyMatchInput:
    property: str = strawberry.field(description="Its name, at the top level of an event.")
    values: list[str] = strawberry.field(
        description="Its text: one of these. A number is compared as it was sent."
    )

    def row(self) -> Match:
        return Match(self.property, tuple(self.values))


@strawberry.input(description="Which events a meter looks at, by the text of their properties.")
class PropertyFiltersInput:
    include: list[PropertyMatchInput] = strawberry.field(
        description="All of these must match.", default_factory=list
    )
    exclude: list[list[PropertyMatchInput]] = strawberry.field(
        description="An event is left out when all parts of any entry match.",
        default_factory=list,
    )
    present: list[str] = strawberry.field(
        description="Properties that must be there.", default_factory=list
    )
    absent: list[str] = strawberry.field(
        description="Properties that must not be there; null is as good as absent.",
        default_factory=list,
    )

    def row(self) -> Filters:
        return Filters(
            include=tuple(match.row() for match in self.include),
            exclude=tuple(tuple(match.row() for match in entry) for entry in self.exclude),
            present=tuple(self.present),
            absent=tuple(self.absent),
        )
