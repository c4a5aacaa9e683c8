"""Which events a meter looks at, by the text of their properties (see fields.py)."""

from dataclasses import dataclass

from app.metering.fields import Fields


@dataclass(frozen=True, slots=True)
class Match:
    """The property has one of the values. An absent property matches nothing."""

    property: str
    values: tuple[str, ...]

    def holds(self, fields: Fields) -> bool:
        value = fields.get(self.property)
        return value is not None and value in self.values


@dataclass(frozen=True, slots=True)
class RowOf:
    """Events that belong to the row at `index`, which is the first that holds for them; None:
    to no row."""

    rows: tuple[tuple[Match, ...], ...]
    index: int | None


@dataclass(frozen=True, slots=True)
class Filters:
    """All of `include` must match, and no entry of `exclude` may match with all its parts.

    All of `present` must be there, and none of `absent` may; null is absent.
    """

    include: tuple[Match, ...] = ()
    exclude: tuple[tuple[Match, ...], ...] = ()
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    def accept(self, fields: Fields) -> bool:
        return (
            all(match.holds(fields) for match in self.include)
            and not any(all(match.holds(fields) for match in entry) for entry in self.exclude)
            and all(fields.get(name) is not None for name in self.present)
            and all(fields.get(name) is None for name in self.absent)
        )
