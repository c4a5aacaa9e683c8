"""Credit notes in the graph. What they look like is in `credit_note_types`, what they take in
`credit_note_inputs`."""

from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.credit_note_inputs import (
    CreditNoteCreateInput,
    CreditNoteFilter,
    CreditNoteOrder,
    CreditNoteUpdateInput,
    CreditNoteVoidInput,
)
from app.graphql.credit_note_types import CreditNote
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.lists import listed
from app.graphql.node import Kind
from app.graphql.permissions import requires
from app.invoicing import actions, credit_reads

CreditNoteResult = Annotated[
    CreditNote | AlreadyExists | Rejected,
    strawberry.union(
        "CreditNoteResult", description="The credit note as it is now, or why nothing was changed."
    ),
]


@strawberry.type
class CreditNoteQuery:
    @strawberry.field(
        description="A credit note by id; null when the environment has none with it.",
        extensions=[requires("credit_note:read")],
    )
    async def credit_note(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The credit note's id.")],
    ) -> CreditNote | None:
        return await _load(info.context, id)

    credit_notes = listed(
        CreditNote,
        credit_reads.page,
        filter=CreditNoteFilter,
        order=CreditNoteOrder,
        permission="credit_note:read",
        description="Credit notes, void ones included unless the filter says otherwise. The "
        "newest first unless ordered. `search` looks through numbers and memos.",
    )


@strawberry.type
class CreditNoteMutation:
    @strawberry.mutation(
        description="Give back of the lines of an invoice in force, at most what each of them "
        "asked for. The credit note is issued at once.",
        extensions=[requires("credit_note:write")],
    )
    async def credit_note_create(
        self,
        info: Info,
        input: Annotated[CreditNoteCreateInput, strawberry.argument(description="What.")],
    ) -> CreditNoteResult:
        ctx = info.context
        at = await ctx.present.invoice(input.invoice_id)
        row = await actions.issue_credit_note(ctx.scope, input.wanted(), by=ctx.actor, at=at)
        return CreditNote.of(row)

    @strawberry.mutation(
        description="Take other notes on a credit note.",
        extensions=[requires("credit_note:write")],
    )
    async def credit_note_update(
        self,
        info: Info,
        input: Annotated[CreditNoteUpdateInput, strawberry.argument(description="The changes.")],
    ) -> CreditNoteResult:
        ctx = info.context
        at = await ctx.present.owned(credit_reads.customers_of, input.id)
        row = await actions.update_credit_note(
            ctx.scope, input.id, input.patch(), by=ctx.actor, at=at
        )
        return CreditNote.of(row)

    @strawberry.mutation(
        description="Take back a credit note of which nothing was used. What an adjustment took "
        "off its invoice remains to be paid again.",
        extensions=[requires("credit_note:write")],
    )
    async def credit_note_void(
        self,
        info: Info,
        input: Annotated[
            CreditNoteVoidInput, strawberry.argument(description="Which one, and why.")
        ],
    ) -> CreditNoteResult:
        ctx = info.context
        at = await ctx.present.owned(credit_reads.customers_of, input.id)
        row = await actions.void_credit_note(
            ctx.scope, input.id, reason=input.reason, by=ctx.actor, at=at
        )
        return CreditNote.of(row)


async def _load(context: Context, credit_note_id: str) -> CreditNote | None:
    row = await context.load.credit_note.load(credit_note_id)
    return None if row is None else CreditNote.of(row)


KINDS = (Kind("crn", "credit_note:read", _load),)
TYPES = (CreditNote,)
