"""Invoices made again, in the graph."""

from typing import Annotated, Self

import strawberry

from app.graphql.context import Info
from app.graphql.errors import Rejected
from app.graphql.permissions import requires
from app.invoicing import actions, replaying


@strawberry.type(
    description="One of the things that an invoice follows from: `engine`, the rules that rated "
    "it; `catalog`, the hashes of its prices; `zone_data`, the time-zone data; `usage`, the "
    "watermark."
)
class InvoiceReplayVersion:
    name: str = strawberry.field(description="Which one.")
    stored: str = strawberry.field(description="As kept with the invoice.")
    present: str = strawberry.field(description="As it is where the invoice was made again.")
    same: bool = strawberry.field(description="Whether they are the same.")


@strawberry.type(description="A place where what is stored is not what comes out.")
class InvoiceReplayDifference:
    path: str = strawberry.field(description="Where, such as `lines[2].amount`.")
    stored: str | None = strawberry.field(description="What is stored; null: nothing.")
    replayed: str | None = strawberry.field(description="What comes out; null: nothing.")


@strawberry.type(description="An invoice made again, from what is kept with it.")
class InvoiceReplay:
    identical: bool = strawberry.field(description="Whether it came out as it is stored.")
    versions: list[InvoiceReplayVersion] = strawberry.field(
        description="What it follows from; differences may come from those that are not the same."
    )
    differences: list[InvoiceReplayDifference] = strawberry.field(
        description="Where it did not come out as it is stored."
    )

    @classmethod
    def of(cls, row: replaying.Replay) -> Self:
        return cls(
            identical=row.identical,
            versions=[
                InvoiceReplayVersion(
                    name=each.name, stored=each.stored, present=each.present, same=each.same
                )
                for each in row.versions
            ],
            differences=[
                InvoiceReplayDifference(path=each.path, stored=each.stored, replayed=each.replayed)
                for each in row.differences
            ],
        )


InvoiceReplayResult = Annotated[
    InvoiceReplay | Rejected,
    strawberry.union("InvoiceReplayResult", description="What came out, or why nothing did."),
]


@strawberry.type
class InvoiceReplayQuery:
    @strawberry.field(
        description="Make an invoice again, from its prices as they were and usage as of its "
        "watermark, and compare it with what is stored. Changes nothing.",
        extensions=[requires("invoice:read")],
    )
    async def invoice_replay(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The invoice's id.")],
    ) -> InvoiceReplayResult:
        ctx = info.context
        return InvoiceReplay.of(await actions.replay(ctx.scope, id, ctx.runtime.clickhouse))
