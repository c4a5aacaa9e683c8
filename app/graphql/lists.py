"""The root field of a list: pages, filters, orders and search, the same for every kind."""

from collections.abc import Awaitable, Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Protocol, TypeVar

import strawberry

from app.graphql.context import Info
from app.graphql.paging import After, Before, Connection, First, Last, Search, page_request
from app.graphql.permissions import requires
from app.kernel.listing import Page, PageRequest
from app.kernel.scope import Scope

R = TypeVar("R")
Row = TypeVar("Row", contravariant=True)


class Shown(Protocol[Row]):
    """A type of the graph, made from rows."""

    def of(self, row: Row) -> Any: ...


def listed(
    shown: Shown[R],
    read: Callable[[Scope, PageRequest], Awaitable[Page[R]]],
    *,
    filter: type,
    order: type,
    permission: str,
    description: str,
    search: bool = True,
    of_tenant: bool = False,
) -> Any:
    """A field that lists things as `shown`, by pages that `read` finds in the caller's environment.

    `of_tenant`: in its tenant as a whole instead. `search`: whether they can be searched.
    """

    async def resolve(info: Info, **asked: Any) -> Any:
        context = info.context
        scope = context.tenant_scope if of_tenant else context.scope
        return Connection.of(await read(scope, page_request(info, **asked)), shown.of)

    which = strawberry.argument(description="Which ones; null: all.")
    keys = strawberry.argument(description="Keys of the order, the weightiest first.")
    arguments: dict[str, Any] = {
        "filter": Annotated[filter | None, which],
        **({"search": Search} if search else {}),
        "order_by": Annotated[list[order] | None, keys],  # type: ignore[valid-type]
        "first": First,
        "after": After,
        "last": Last,
        "before": Before,
    }
    # What Strawberry reads instead of the resolver's own parameters.
    resolve.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("info", Parameter.POSITIONAL_OR_KEYWORD, annotation=Info),
            *(
                Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
                for name, annotation in arguments.items()
            ),
        ],
        return_annotation=Connection[shown],  # type: ignore[valid-type]
    )
    return strawberry.field(
        resolver=resolve, description=description, extensions=[requires(permission)]
    )
