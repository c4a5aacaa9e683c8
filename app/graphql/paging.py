"""Relay connections over keyset pages: `edges`, `nodes`, `pageInfo`, and a total on request."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Generic, Protocol, Self, TypeVar

import strawberry
from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, SelectionSetNode
from strawberry import UNSET

from app.graphql.context import Context, Info
from app.graphql.filters import where
from app.kernel.errors import Invalid
from app.kernel.listing import DEFAULT_PAGE, MAX_PAGE, Order, Page, PageRequest

T = TypeVar("T")
R = TypeVar("R")

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"How many to return, from the start or after `after`: 0 to {MAX_PAGE}. "
        f"Neither `first` nor `last` given: {DEFAULT_PAGE}."
    ),
]
After = Annotated[
    str | None, strawberry.argument(description="A cursor of this list in the same order.")
]
Last = Annotated[
    int | None,
    strawberry.argument(
        description=f"How many to return, from the end or before `before`: 0 to {MAX_PAGE}."
    ),
]
Before = Annotated[
    str | None, strawberry.argument(description="A cursor of this list in the same order.")
]
Search = Annotated[
    str | None,
    strawberry.argument(description="Words that must all occur, in any case and any place."),
]


@strawberry.enum(description="Which way a list is ordered.")
class Direction(Enum):
    ASC = strawberry.enum_value("asc", description="Smallest first; what has no value last.")
    DESC = strawberry.enum_value("desc", description="Largest first; what has no value first.")


class OrderInput(Protocol):
    """What the inputs of `orderBy` have in common; the enum's values are columns' names."""

    @property
    def field(self) -> Enum: ...
    @property
    def direction(self) -> Direction: ...


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follow.")
    has_previous_page: bool = strawberry.field(description="Whether more come before.")
    start_cursor: str | None = strawberry.field(description="Of the first; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Of the last; null on an empty page.")


@strawberry.type(description="One of a list, with its place.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Give it as `after` or `before` to go on from here.")
    node: T = strawberry.field(description="The thing itself.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    nodes: list[T] = strawberry.field(description="The things of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")
    cursors: strawberry.Private[Sequence[str]]
    total: strawberry.Private[int | None]

    @strawberry.field(description="The things of this page, each with its cursor.")
    def edges(self) -> list[Edge[T]]:
        pairs = zip(self.cursors, self.nodes, strict=True)
        return [Edge(cursor=cursor, node=node) for cursor, node in pairs]

    @strawberry.field(description="How many the filter finds in all; counted only when asked for.")
    def total_count(self) -> int:
        if self.total is None:
            raise RuntimeError("the total was selected and not counted")
        return self.total

    @classmethod
    def of(cls, page: Page[R], convert: Callable[[R], T]) -> Self:
        cursors = page.cursors
        return cls(
            nodes=[convert(row) for row in page.rows],
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=cursors[0] if page.rows else None,
                end_cursor=cursors[len(page.rows) - 1] if page.rows else None,
            ),
            cursors=cursors,
            total=page.total,
        )


def page_request(
    info: Info,
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    filter: object = None,
    order_by: Sequence[OrderInput] | None = None,
    search: str | None = None,
) -> PageRequest:
    """The arguments of a list field as the domain's reads take them. Raises: Invalid."""
    return PageRequest(
        first=first,
        after=after,
        last=last,
        before=before,
        where=where(filter),
        search=search,
        order=tuple(_order(key) for key in order_by or ()),
        with_total=selected(info, "totalCount"),
    )


def _order(key: OrderInput) -> Order:
    if key.direction in (None, UNSET):
        raise Invalid("orderBy: direction is ASC or DESC, not null", field="orderBy")
    return Order(str(key.field.value), descending=key.direction is Direction.DESC)


def selected(info: Info, name: str) -> bool:
    """Whether the query asks the current field for its field `name`, in whatever spelling."""
    raw: GraphQLResolveInfo[Context] = info._raw_info
    sets = [node.selection_set for node in raw.field_nodes if node.selection_set is not None]
    seen: set[str] = set()
    while sets:
        for selection in sets.pop().selections:
            if isinstance(selection, FieldNode):
                if selection.name.value == name:
                    return True
                continue
            inner: SelectionSetNode
            if isinstance(selection, FragmentSpreadNode):
                fragment = selection.name.value
                if fragment in seen:
                    continue
                seen.add(fragment)
                inner = raw.fragments[fragment].selection_set
            else:
                inner = selection.selection_set  # type: ignore[attr-defined]
            sets.append(inner)
    return False
