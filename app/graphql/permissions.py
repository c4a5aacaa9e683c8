"""Who may ask a field: `requires("customer:read")` guards it, and says so in schema.graphql.

Every root field carries exactly one policy; a test walks the schema and sees to it. The check
runs once per root field, before its resolver, never per scalar.
"""

from typing import Any

import strawberry
from strawberry.extensions.field_extension import (
    AsyncExtensionResolver,
    FieldExtension,
    SyncExtensionResolver,
)
from strawberry.schema_directive import Location
from strawberry.types.field import StrawberryField

from app.graphql.context import Context


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="requires",
    description="The caller needs this permission, else the field answers with FORBIDDEN.",
)
class Requires:
    permission: str = strawberry.directive_field(name="permission")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="authenticated",
    description="The caller needs valid credentials; no particular permission.",
)
class Authenticated:
    pass


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="public",
    description="Anybody may ask; no credentials are needed.",
)
class Public:
    pass


class Policy(FieldExtension):
    """The rule of one field. `permission` None: any known caller; `open_to_all`: anybody."""

    def __init__(self, permission: str | None = None, *, open_to_all: bool = False) -> None:
        self.permission, self.open_to_all = permission, open_to_all

    def apply(self, field: StrawberryField) -> None:
        directive: object = Authenticated()
        if self.permission is not None:
            directive = Requires(permission=self.permission)
        elif self.open_to_all:
            directive = Public()
        if directive not in field.directives:
            field.directives = [*field.directives, directive]

    def resolve(
        self, next_: SyncExtensionResolver, source: Any, info: strawberry.Info, **arguments: Any
    ) -> Any:
        self._check(info.context)
        return next_(source, info, **arguments)

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: strawberry.Info, **arguments: Any
    ) -> Any:
        self._check(info.context)
        answer: Any = next_(source, info, **arguments)
        # A subscription's resolver is an asynchronous generator: there is nothing to await.
        return answer if hasattr(answer, "__aiter__") else await answer

    def _check(self, context: Context) -> None:
        if self.permission is not None:
            context.caller.require(self.permission)
        elif not self.open_to_all:
            context.caller  # noqa: B018 - raises Unauthenticated


def requires(permission: str) -> Policy:
    """The caller needs `permission`, such as `customer:read`."""
    return Policy(permission)


def authenticated() -> Policy:
    """Any known caller may ask; what it sees depends on its own permissions."""
    return Policy()


def public() -> Policy:
    """Anybody may ask, credentials or not: signing up, logging in."""
    return Policy(open_to_all=True)


class ShownOnce(FieldExtension):
    """Marks a mutation whose answer holds a secret: it is kept nowhere, not even for repeats."""


def shown_once() -> ShownOnce:
    return ShownOnce()
