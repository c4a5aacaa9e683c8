"""Test clocks in the graph. Times of a clock itself are the machine's; what it shows is its own."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry import UNSET

from app.clocks import actions, reads
from app.clocks.actions import CreateTestClock
from app.clocks.test_clock import ClockStatus, Governs
from app.clocks.test_clock import TestClock as Row
from app.graphql import customers
from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.filters import (
    DateTimeFilter,
    EnumFilter,
    IdFilter,
    StringFilter,
    and_filters,
    not_filter,
    or_filters,
)
from app.graphql.lists import listed
from app.graphql.node import Kind, Node
from app.graphql.paging import (
    After,
    Before,
    Connection,
    Direction,
    First,
    Last,
    page_request,
)
from app.graphql.patch import present
from app.graphql.permissions import requires
from app.graphql.tenants.acting import recording

if TYPE_CHECKING:
    from app.graphql.customers import Customer

strawberry.enum(ClockStatus, name="TestClockStatus", description="What a test clock is doing.")
strawberry.enum(Governs, name="TestClockGoverns", description="Whose present a test clock is.")


@strawberry.type(
    description="A present of its own, which stands still until it is advanced: of a development "
    "environment as a whole, or of chosen customers in one."
)
class TestClock(Node):
    name: str = strawberry.field(
        description="Unique among the environment's clocks that are not archived."
    )
    governs: Governs = strawberry.field(description="Whose present it is; never changes.")
    frozen_at: datetime = strawberry.field(
        description="The present of what lives on it; while it advances, how far it has come."
    )
    status: ClockStatus = strawberry.field(description="What it is doing.")
    advancing_to: datetime | None = strawberry.field(
        description="Where it is on its way to; null while it stands still."
    )
    failure: str | None = strawberry.field(
        description="Why its last advance broke off; null unless its status is FAILED."
    )
    created_at: datetime = strawberry.field(description="When it was made, by the machine's time.")
    updated_at: datetime = strawberry.field(
        description="When it last changed or moved, by the machine's time."
    )
    archived_at: datetime | None = strawberry.field(
        description="When it was put away, by the machine's time; null while it is in use."
    )

    @strawberry.field(
        description="The customers who live on it, archived ones included, the newest first. Of a "
        "clock that governs its environment: none, for all do that have no clock of their own.",
        extensions=[requires("customer:read")],
    )
    async def customers(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Annotated["Customer", strawberry.lazy("app.graphql.customers")]]:
        request = page_request(info, first=first, after=after, last=last, before=before)
        page = await info.context.load.customers_of_test_clock.load((self.id, request))
        return Connection.of(page, customers.Customer.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            name=row.name,
            governs=row.governs,
            frozen_at=row.frozen_at,
            status=row.status,
            advancing_to=row.advancing_to,
            failure=row.failure,
            created_at=row.created_at,
            updated_at=row.updated_at,
            archived_at=row.archived_at,
        )


@strawberry.input(description="Which test clocks to list; all conditions given must hold.")
class TestClockFilter:
    id: IdFilter | None = strawberry.field(description="By id.", default=UNSET)
    name: StringFilter | None = strawberry.field(description="By name.", default=UNSET)
    governs: EnumFilter[Governs] | None = strawberry.field(
        description="By whose present they are.", default=UNSET
    )
    status: EnumFilter[ClockStatus] | None = strawberry.field(
        description="By what they are doing.", default=UNSET
    )
    frozen_at: DateTimeFilter | None = strawberry.field(
        description="By what they show.", default=UNSET
    )
    created_at: DateTimeFilter | None = strawberry.field(
        description="By when they were made.", default=UNSET
    )
    updated_at: DateTimeFilter | None = strawberry.field(
        description="By when they last changed or moved.", default=UNSET
    )
    and_: list["TestClockFilter"] | None = and_filters()
    or_: list["TestClockFilter"] | None = or_filters()
    not_: "TestClockFilter | None" = not_filter()


@strawberry.enum(description="What test clocks can be ordered by.")
class TestClockOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were made.")
    UPDATED_AT = strawberry.enum_value("updated_at", description="When they last changed.")
    FROZEN_AT = strawberry.enum_value("frozen_at", description="What they show.")
    NAME = strawberry.enum_value("name", description="Their name.")
    ID = strawberry.enum_value("id", description="Their id.")


@strawberry.input(description="One key of the order of test clocks.")
class TestClockOrder:
    field: TestClockOrderField = strawberry.field(description="What to order by.")
    direction: Direction = strawberry.field(description="Which way.", default=Direction.ASC)


@strawberry.input(description="A new test clock, in a development environment.")
class TestClockCreateInput:
    name: str = strawberry.field(description="Its name.")
    governs: Governs = strawberry.field(
        description="Whose present it is. The environment's: only before anything is scheduled "
        "there, and once.",
        default=Governs.CUSTOMERS,
    )
    frozen_at: datetime = strawberry.field(
        description="What it shows at first; from 2000 to before 2100."
    )

    def command(self) -> CreateTestClock:
        return CreateTestClock(name=self.name, governs=self.governs, frozen_at=self.frozen_at)


@strawberry.input(description="Changes to a test clock. A field that is absent stays as it is.")
class TestClockUpdateInput:
    id: strawberry.ID = strawberry.field(description="Which clock.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Its name.")

    def patch(self) -> dict[str, Any]:
        return present(self, without=("id",))


@strawberry.input(description="The test clock to advance, and how far.")
class TestClockAdvanceInput:
    id: strawberry.ID = strawberry.field(description="Which clock.")
    to: datetime = strawberry.field(
        description="What it is to show: not before what it shows now, and at most five years "
        "later."
    )


@strawberry.input(description="The test clock to put away.")
class TestClockArchiveInput:
    id: strawberry.ID = strawberry.field(description="Which clock.")


@strawberry.input(description="The archived test clock to take up again.")
class TestClockRestoreInput:
    id: strawberry.ID = strawberry.field(description="Which clock.")


TestClockResult = Annotated[
    TestClock | AlreadyExists | Rejected,
    strawberry.union(
        "TestClockResult", description="The test clock as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class TestClockQuery:
    @strawberry.field(
        description="A test clock by id; null when the environment has none with it.",
        extensions=[requires("test_clock:read")],
    )
    async def test_clock(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The clock's id.")],
    ) -> TestClock | None:
        return await _load(info.context, id)

    test_clocks = listed(
        TestClock,
        reads.page,
        filter=TestClockFilter,
        order=TestClockOrder,
        permission="test_clock:read",
        description="Test clocks, archived ones included unless the filter says otherwise. The "
        "newest first unless ordered.",
    )


@strawberry.type
class TestClockMutation:
    @strawberry.mutation(
        description="Make a test clock. It is refused in a production environment.",
        extensions=[requires("test_clock:write")],
    )
    async def test_clock_create(
        self,
        info: Info,
        input: Annotated[TestClockCreateInput, strawberry.argument(description="The clock.")],
    ) -> TestClockResult:
        ctx = info.context
        row = await actions.create(ctx.scope, input.command(), **recording(ctx))
        ctx.runtime.clock.learn(ctx.scope, row)
        return TestClock.of(row)

    @strawberry.mutation(
        description="Rename a test clock.", extensions=[requires("test_clock:write")]
    )
    async def test_clock_update(
        self,
        info: Info,
        input: Annotated[TestClockUpdateInput, strawberry.argument(description="The changes.")],
    ) -> TestClockResult:
        ctx = info.context
        row = await actions.update(ctx.scope, input.id, input.patch(), **recording(ctx))
        return TestClock.of(row)

    @strawberry.mutation(
        description="Let time pass for what lives on a test clock. All that falls due until then "
        "is done in its order, by the code that does it in production, each at its own instant; "
        "meanwhile the clock is ADVANCING and what lives on it can be read and not changed. It is "
        "READY once all is done.",
        extensions=[requires("test_clock:write")],
    )
    async def test_clock_advance(
        self,
        info: Info,
        input: Annotated[TestClockAdvanceInput, strawberry.argument(description="How far.")],
    ) -> TestClockResult:
        ctx = info.context
        row = await actions.advance(ctx.scope, input.id, input.to, **recording(ctx))
        ctx.runtime.clock.learn(ctx.scope, row)
        return TestClock.of(row)

    @strawberry.mutation(
        description="Put a test clock away. What lives on it stays as it is and stands still: "
        "nothing of it falls due any more.",
        extensions=[requires("test_clock:write")],
    )
    async def test_clock_archive(
        self,
        info: Info,
        input: Annotated[TestClockArchiveInput, strawberry.argument(description="Which one.")],
    ) -> TestClockResult:
        ctx = info.context
        return TestClock.of(await actions.archive(ctx.scope, input.id, **recording(ctx)))

    @strawberry.mutation(
        description="Take an archived test clock up again, where it stood.",
        extensions=[requires("test_clock:write")],
    )
    async def test_clock_restore(
        self,
        info: Info,
        input: Annotated[TestClockRestoreInput, strawberry.argument(description="Which one.")],
    ) -> TestClockResult:
        ctx = info.context
        row = await actions.restore(ctx.scope, input.id, **recording(ctx))
        ctx.runtime.clock.learn(ctx.scope, row)
        return TestClock.of(row)


async def _load(context: Context, clock_id: str) -> TestClock | None:
    row = await context.load.test_clock.load(clock_id)
    return None if row is None else TestClock.of(row)


KINDS = (Kind("clk", "test_clock:read", _load),)
