"""Pages of rows of ClickHouse by the values of their keys: which rows, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.infra.clickhouse_parameters import Places
from app.infra.listing import Listing, Page, PageRequest
from app.infra.listing.cursors import Cursors, Key, decode, order_keys, signature

T = TypeVar("T")

_TYPES = {"id": "String", "string": "String", "datetime": "DateTime64(6, 'UTC')"}


@dataclass(frozen=True, slots=True)
class Slice:
    """What a page takes from its list: the first `size` rows in `order` that meet `predicates`.

    One row more tells whether there are further ones. Pages asked for from their end are read
    backwards; `page` turns them round.
    """

    listing: Listing
    request: PageRequest
    keys: Sequence[Key]
    size: int
    backwards: bool
    predicates: Sequence[str]

    @property
    def order(self) -> str:
        return ", ".join(
            f"{column.expression} {'DESC' if down != self.backwards else 'ASC'}"
            for column, down in self.keys
        )

    def page(self, found: Sequence[T], total: int | None) -> Page[T]:
        """The page, of up to `size` + 1 rows in the order of reading."""
        rows = list(found[: self.size])
        if self.backwards:
            rows.reverse()
        more = len(found) > self.size
        return Page(
            rows=rows,
            has_next=self.request.before is not None if self.backwards else more,
            has_previous=more if self.backwards else self.request.after is not None,
            total=total,
            cursors=Cursors(
                signature(self.listing, self.keys),
                [[getattr(row, column.field) for column, _ in self.keys] for row in rows],
            ),
        )


def sliced(listing: Listing, request: PageRequest, places: Places) -> Slice:
    """Raises: Invalid (INVALID_PAGE, INVALID_CURSOR, INVALID_ORDER)."""
    size, backwards = request.span()
    keys = order_keys(listing, request.order)
    cursor, field = (request.before, "before") if backwards else (request.after, "after")
    predicates = []
    if cursor is not None:
        at = decode(listing, keys, cursor, field)
        directed = [(column, down != backwards) for column, down in keys]
        predicates.append(_beyond(directed, at, places))
    return Slice(listing, request, keys, size, backwards, predicates)


def _beyond(keys: Sequence[Key], at: Sequence[Any], places: Places) -> str:
    """The rows after the one at which the keys have the values `at`."""
    predicate = "0"
    for (column, down), value in reversed(list(zip(keys, at, strict=True))):
        place = places.add(value, _TYPES[column.kind])
        after = f"{column.expression} {'<' if down else '>'} {place}"
        predicate = f"({after} OR ({column.expression} = {place} AND {predicate}))"
    return predicate
