"""`node(id:)`: anything by its id, whatever its kind.

An id of another environment, an unknown id and no id at all look the same: null.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.permissions import authenticated
from app.kernel.errors import Invalid
from app.kernel.ids import prefix_of
from app.kernel.listing import MAX_PAGE


@strawberry.interface(description="Anything that has an id and can be found by it.")
class Node:
    id: strawberry.ID = strawberry.field(description="Unique over all kinds; opaque.")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of thing is found: by ids of `prefix`, by callers with `permission`."""

    prefix: str
    permission: str
    load: Callable[[Context, str], Awaitable[Node | None]]


def node_query(kinds: Sequence[Kind]) -> type:
    """The root fields `node` and `nodes` over these kinds. Raises ValueError for a prefix twice."""
    by_prefix = {kind.prefix: kind for kind in kinds}
    if len(by_prefix) != len(kinds):
        raise ValueError("two kinds have the same prefix")

    async def find(context: Context, id_: str) -> Node | None:
        kind = by_prefix.get(prefix_of(id_) or "")
        if kind is None:
            return None
        # Before looking: who may not read the kind learns nothing about the id.
        context.caller.require(kind.permission)
        return await kind.load(context, id_)

    @strawberry.type
    class NodeQuery:
        @strawberry.field(
            description="Anything by its id. Null for an id that is not in the environment. "
            "Needs the permission to read things of that kind.",
            extensions=[authenticated()],
        )
        async def node(
            self,
            info: Info,
            id: Annotated[strawberry.ID, strawberry.argument(description="Of any kind of thing.")],
        ) -> Node | None:
            return await find(info.context, id)

        @strawberry.field(
            description="Things by their ids, in the order asked, null where there is none.",
            extensions=[authenticated()],
        )
        async def nodes(
            self,
            info: Info,
            ids: Annotated[
                list[strawberry.ID], strawberry.argument(description=f"At most {MAX_PAGE}.")
            ],
        ) -> list[Node | None]:
            if len(ids) > MAX_PAGE:
                raise Invalid(f"ids: at most {MAX_PAGE}, got {len(ids)}", field="ids")
            # Loaders make one read per kind of this.
            return list(await asyncio.gather(*(find(info.context, id_) for id_ in ids)))

    return NodeQuery
