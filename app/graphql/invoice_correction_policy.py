"""How corrections are billed, in the graph."""

import strawberry

from app.invoicing.correction import CorrectionPolicy as CorrectionPolicy

strawberry.enum(
    CorrectionPolicy,
    name="InvoiceCorrectionPolicy",
    description="What becomes of usage that changes after it was billed: a line on the "
    "subscription's next invoice; a credit note on what was billed, or for more an invoice of its "
    "own; or a review.",
)
