"""Invoices in the graph. What they look like is in `invoice_types`, what they take in
`invoice_inputs`."""

from typing import Annotated

import strawberry

from app.graphql.context import Context, Info
from app.graphql.errors import AlreadyExists, Rejected
from app.graphql.invoice_edits import (
    InvoiceCreateInput,
    InvoiceReissueInput,
    InvoiceUpdateInput,
    InvoiceWriteOffInput,
    InvoiceWriteOffReverseInput,
)
from app.graphql.invoice_inputs import (
    InvoiceComputeInput,
    InvoiceFilter,
    InvoiceFinalizeInput,
    InvoiceOrder,
    InvoiceVoidInput,
)
from app.graphql.invoice_lines import InvoiceLine
from app.graphql.invoice_types import Invoice
from app.graphql.lists import listed
from app.graphql.node import Kind
from app.graphql.permissions import requires
from app.graphql.watermarks import watermark
from app.invoicing import actions, reads
from app.invoicing.drafts import Moment
from app.runs.schedules import start_billing_run


@strawberry.type(description="A billing run of the environment, under way.")
class BillingRun:
    workflow_id: str = strawberry.field(description="The id of its workflow in Temporal.")
    run_id: str = strawberry.field(description="The id of this run of the workflow.")


InvoiceResult = Annotated[
    Invoice | Rejected,
    strawberry.union(
        "InvoiceResult", description="The invoice as it is now, or why nothing was changed."
    ),
]
InvoiceCreateResult = Annotated[
    Invoice | AlreadyExists | Rejected,
    strawberry.union("InvoiceCreateResult", description="The invoice, or why none was made."),
]
BillingRunResult = Annotated[
    BillingRun | Rejected,
    strawberry.union("BillingRunResult", description="The run, or why none was started."),
]


@strawberry.type
class InvoiceQuery:
    @strawberry.field(
        description="An invoice by id; null when the environment has none with it.",
        extensions=[requires("invoice:read")],
    )
    async def invoice(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The invoice's id.")],
    ) -> Invoice | None:
        return await _load(info.context, id)

    invoices = listed(
        Invoice,
        reads.page,
        filter=InvoiceFilter,
        order=InvoiceOrder,
        permission="invoice:read",
        description="Invoices, drafts and void ones included unless the filter says otherwise. "
        "The newest first unless ordered. `search` looks through numbers and order numbers.",
    )


@strawberry.type
class InvoiceMutation:
    @strawberry.mutation(
        description="Issue a draft now: it gets its number and due date, and does not change "
        "from then on. One that comes to nothing is skipped instead.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_finalize(
        self,
        info: Info,
        input: Annotated[InvoiceFinalizeInput, strawberry.argument(description="Which one.")],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        row = await actions.finalize(ctx.scope, input.id, by=ctx.actor, at=at)
        return Invoice.of(row)

    @strawberry.mutation(
        description="Work a draft out again, from the usage that its period has now.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_compute(
        self,
        info: Info,
        input: Annotated[InvoiceComputeInput, strawberry.argument(description="Which one.")],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        moment = Moment(at, await watermark(ctx.runtime))
        row = await actions.compute(
            ctx.scope,
            input.id,
            ctx.runtime.clickhouse,
            by=ctx.actor,
            moment=moment,
            keep_edits=input.keep_edits,
        )
        return Invoice.of(row)

    @strawberry.mutation(
        description="Take an invoice back: it keeps its number and its lines, and asks for "
        "nothing any more.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_void(
        self,
        info: Info,
        input: Annotated[InvoiceVoidInput, strawberry.argument(description="Which one, and why.")],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        row = await actions.void(ctx.scope, input.id, reason=input.reason, by=ctx.actor, at=at)
        return Invoice.of(row)

    @strawberry.mutation(
        description="Make an invoice of lines written by hand: a draft, or issued at once.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_create(
        self,
        info: Info,
        input: Annotated[InvoiceCreateInput, strawberry.argument(description="The invoice.")],
    ) -> InvoiceCreateResult:
        ctx = info.context
        at = await ctx.present.customer(input.customer_id)
        row = await actions.create(
            ctx.scope, input.command(), finalized=input.finalize, by=ctx.actor, at=at
        )
        return Invoice.of(row)

    @strawberry.mutation(
        description="Edit an invoice: all of the changes are made, or none.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_update(
        self,
        info: Info,
        input: Annotated[InvoiceUpdateInput, strawberry.argument(description="The changes.")],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        row = await actions.edit(ctx.scope, input.id, input.edits(), by=ctx.actor, at=at)
        return Invoice.of(row)

    @strawberry.mutation(
        description="Take an invoice back and draft it again, once, for the same period: from "
        "the usage it has now, and with what was written by hand. The answer is the new draft, "
        "which waits for `invoiceFinalize`.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_reissue(
        self,
        info: Info,
        input: Annotated[
            InvoiceReissueInput, strawberry.argument(description="Which one, and why.")
        ],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        clickhouse = ctx.runtime.clickhouse
        row = await actions.reissue(
            ctx.scope,
            input.id,
            clickhouse,
            reason=input.reason,
            by=ctx.actor,
            at=at,
            watermark=await watermark(ctx.runtime),
        )
        return Invoice.of(row)

    @strawberry.mutation(
        description="Expect no more of what remains of an invoice in force.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_write_off(
        self,
        info: Info,
        input: Annotated[
            InvoiceWriteOffInput, strawberry.argument(description="Which one, and why.")
        ],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        row = await actions.write_off(ctx.scope, input.id, reason=input.reason, by=ctx.actor, at=at)
        return Invoice.of(row)

    @strawberry.mutation(
        description="Ask again for what was written off.",
        extensions=[requires("invoice:write")],
    )
    async def invoice_write_off_reverse(
        self,
        info: Info,
        input: Annotated[
            InvoiceWriteOffReverseInput, strawberry.argument(description="Which one, and why.")
        ],
    ) -> InvoiceResult:
        ctx = info.context
        at = await ctx.present.invoice(input.id)
        row = await actions.reverse_write_off(
            ctx.scope, input.id, reason=input.reason, by=ctx.actor, at=at
        )
        return Invoice.of(row)

    @strawberry.mutation(
        description="Bill what is due in the environment now, without waiting for the schedule. "
        "A run that is under way already is joined.",
        extensions=[requires("billing:write")],
    )
    async def billing_run_start(self, info: Info) -> BillingRunResult:
        runtime = info.context.runtime
        queue = runtime.settings.temporal.task_queue
        handle = await start_billing_run(runtime.temporal, info.context.scope, task_queue=queue)
        return BillingRun(workflow_id=handle.id, run_id=handle.result_run_id or "")


async def _load(context: Context, invoice_id: str) -> Invoice | None:
    row = await context.load.invoice.load(invoice_id)
    return None if row is None else Invoice.of(row)


async def _load_line(context: Context, line_id: str) -> InvoiceLine | None:
    row = await context.load.invoice_line.load(line_id)
    return None if row is None else InvoiceLine.of(row)


KINDS = (
    Kind("inv", "invoice:read", _load),
    Kind("invl", "invoice:read", _load_line),
)
TYPES = (Invoice, InvoiceLine)
