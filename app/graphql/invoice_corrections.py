"""Corrections of billed usage in the graph."""

from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.errors import Rejected
from app.graphql.invoice_correction_types import (
    InvoiceCorrection,
    InvoiceCorrectionAcceptInput,
    InvoiceCorrectionDismissInput,
    InvoiceCorrectionFilter,
    InvoiceCorrectionOrder,
)
from app.graphql.invoicing import BillingRun, BillingRunResult
from app.graphql.lists import listed
from app.graphql.node import Kind
from app.graphql.permissions import requires
from app.invoicing import actions, correction_reads
from app.runs.schedules import start_billing_run

InvoiceCorrectionResult = Annotated[
    InvoiceCorrection | Rejected,
    strawberry.union(
        "InvoiceCorrectionResult",
        description="The correction as it is now, or why nothing was changed.",
    ),
]


@strawberry.type
class InvoiceCorrectionQuery:
    @strawberry.field(
        description="A correction by id; null when the environment has none with it.",
        extensions=[requires("invoice:read")],
    )
    async def invoice_correction(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The correction's id.")],
    ) -> InvoiceCorrection | None:
        return await _load(info.context, id)

    invoice_corrections = listed(
        InvoiceCorrection,
        correction_reads.page,
        filter=InvoiceCorrectionFilter,
        order=InvoiceCorrectionOrder,
        permission="invoice:read",
        description="Corrections of billed usage, the newest first unless ordered. `search` looks "
        "through descriptions.",
    )


@strawberry.type
class InvoiceCorrectionMutation:
    @strawberry.mutation(
        description="Bill a correction that is in review.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_correction_accept(
        self,
        info: Info,
        input: Annotated[
            InvoiceCorrectionAcceptInput, strawberry.argument(description="Which one, and how.")
        ],
    ) -> InvoiceCorrectionResult:
        ctx = info.context
        at = await ctx.present.invoice_correction(input.id)
        row = await actions.accept_correction(
            ctx.scope, input.id, input.policy, by=ctx.actor, at=at
        )
        return InvoiceCorrection.of(row)

    @strawberry.mutation(
        description="Leave a correction that is in review unbilled, for good.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_correction_dismiss(
        self,
        info: Info,
        input: Annotated[
            InvoiceCorrectionDismissInput, strawberry.argument(description="Which one, and why.")
        ],
    ) -> InvoiceCorrectionResult:
        ctx = info.context
        at = await ctx.present.invoice_correction(input.id)
        row = await actions.dismiss_correction(
            ctx.scope, input.id, reason=input.reason, by=ctx.actor, at=at
        )
        return InvoiceCorrection.of(row)

    @strawberry.mutation(
        description="Look now for usage that changed after it was billed, without waiting for "
        "the environment's interval. A run that is under way already is joined.",
        extensions=[requires("billing:write")],
    )
    async def invoice_corrections_run(self, info: Info) -> BillingRunResult:
        ctx = info.context
        await actions.look_again(ctx.scope, at=ctx.now())
        runtime = ctx.runtime
        queue = runtime.settings.temporal.task_queue
        handle = await start_billing_run(runtime.temporal, ctx.scope, task_queue=queue)
        return BillingRun(workflow_id=handle.id, run_id=handle.result_run_id or "")


async def _load(context: Context, correction_id: str) -> InvoiceCorrection | None:
    row = await context.load.invoice_correction.load(correction_id)
    return None if row is None else InvoiceCorrection.of(row)


KINDS = (Kind("icor", "invoice:read", _load),)
TYPES = (InvoiceCorrection,)
