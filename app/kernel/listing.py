"""What a caller may ask of a list, and what comes back: pages, filters and orders as data.

A filter has two-valued logic: a comparison with a value that is absent is false, and its
negation is true. `ne` and `not_in` therefore also find rows that have no value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from app.kernel.errors import Invalid

DEFAULT_PAGE = 20
MAX_PAGE = 100
MAX_CONDITIONS = 100
MAX_NESTING = 8
MAX_VALUES = 500  # of one `in`
MAX_ORDER_KEYS = 5
MAX_SEARCH_CHARACTERS = 200

Operation = Literal[
    "eq",
    "ne",
    "in",
    "not_in",
    "lt",
    "lte",
    "gt",
    "gte",
    "contains",
    "starts_with",
    "is_null",
]

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` is the column's name in the listing; the value's type depends on its kind.

    `contains` and `starts_with` on text ignore case; `contains` on a list asks for an element,
    and on JSON for a mapping whose entries must all be there. `is_null` takes a boolean.
    """

    field: str
    op: Operation
    value: object


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts; true of everything when there are none."""

    parts: tuple["Where", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the parts; true of nothing when there are none."""

    parts: tuple["Where", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Where"


Where = Condition | And | Or | Not


@dataclass(frozen=True, slots=True)
class Order:
    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """`first` rows after the cursor `after`, or the `last` ones before `before`.

    Neither `first` nor `last` given: the first `DEFAULT_PAGE`. `order` empty: the listing's own.
    Rows equal in every key are ordered by id.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None
    where: Where | None = None
    search: str | None = None
    order: tuple[Order, ...] = ()
    with_total: bool = False

    def span(self) -> tuple[int, bool]:
        """How many rows are asked for, and whether from the end. Raises: Invalid (INVALID_PAGE)."""
        if self.first is not None and self.last is not None:
            raise _invalid_page("first and last exclude each other; give one of them", "last")
        if self.last is not None and self.after is not None:
            raise _invalid_page("last goes with before; to page forwards give first", "after")
        if self.last is None and self.before is not None:
            raise _invalid_page("before goes with last; to page forwards give after", "before")
        backwards = self.last is not None
        size = self.last if backwards else self.first
        size = DEFAULT_PAGE if size is None else size
        if not 0 <= size <= MAX_PAGE:
            field = "last" if backwards else "first"
            raise _invalid_page(f"{field}: from 0 to {MAX_PAGE}, got {size}", field)
        return size, backwards


def _invalid_page(message: str, field: str) -> Invalid:
    return Invalid(message, field=field, code="INVALID_PAGE")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`cursors` has one entry per row. `total` counts all rows of the filter, when asked for."""

    rows: list[T]
    has_next: bool
    has_previous: bool
    total: int | None
    cursors: Sequence[str]

    def map(self, convert: Callable[[T], U]) -> "Page[U]":
        rows = [convert(row) for row in self.rows]
        return Page(rows, self.has_next, self.has_previous, self.total, self.cursors)


def both(left: Where | None, right: Where | None) -> Where | None:
    """The conjunction of two filters, either of which may be missing."""
    if left is None or right is None:
        return left or right
    return And((left, right))
