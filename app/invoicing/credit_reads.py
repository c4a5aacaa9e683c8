"""Queries of credit notes. Every one takes the scope first and finds nothing outside it."""

from collections import defaultdict
from collections.abc import Collection

from app.infra import listing
from app.infra.listing import Column, Listing, Order, Page, PageRequest
from app.infra.postgres import fetch
from app.infra.rows import having, the
from app.invoicing.credit_note import NO_AMOUNTS, Amounts, Application, CreditNote, CreditNoteLine
from app.invoicing.credit_records import application_of, line_of, note_of
from app.kernel.scope import Scope

LISTING = Listing(
    table="credit_notes",
    columns=(
        Column("id", "id", sortable=True),
        Column("number", "string", sortable=True),
        Column("customer_id", "id"),
        Column("invoice_id", "id"),
        Column("subscription_id", "id", nullable=True),
        Column("status", "enum"),
        Column("kind", "enum"),
        Column("reason", "enum"),
        Column("refund_status", "enum", nullable=True),
        Column("currency", "string"),
        Column("total", "decimal", sortable=True),
        Column("balance", "decimal", sortable=True),
        Column("key", "string", nullable=True),
        Column("memo", "string", nullable=True),
        Column("issued_at", "datetime", sortable=True),
        Column("voided_at", "datetime", nullable=True),
        Column("metadata", "json"),
        Column("created_at", "datetime", sortable=True),
        Column("updated_at", "datetime", sortable=True),
    ),
    default_order=(Order("created_at", descending=True),),
    searchable=("number", "memo"),
)
_EARLIER = (
    "SELECT l.invoice_line_id, sum(l.amount) AS amount, sum(l.discount) AS discount, "
    "sum(l.tax) AS tax, sum(l.tax_included) AS tax_included "
    "FROM credit_note_lines l JOIN credit_notes n ON n.id = l.credit_note_id "
    "WHERE l.tenant_id = $1 AND l.environment_id = $2 AND l.invoice_line_id = ANY($3) "
    "AND n.status <> 'void' GROUP BY l.invoice_line_id"
)


async def page(scope: Scope, request: PageRequest) -> Page[CreditNote]:
    return (await listing.page(scope, LISTING, request)).map(note_of)


async def by_ids(scope: Scope, ids: Collection[str]) -> dict[str, CreditNote]:
    """The credit notes with these ids; absent ids are absent from the result."""
    rows = await having(scope, "credit_notes", "id", ids)
    return {row["id"]: note_of(row) for row in rows}


async def get(scope: Scope, credit_note_id: str) -> CreditNote:
    """Raises: NotFound."""
    return the(await by_ids(scope, [credit_note_id]), "credit note", credit_note_id)


async def of_invoices(scope: Scope, invoice_ids: Collection[str]) -> dict[str, list[CreditNote]]:
    """Each invoice's credit notes, the oldest first; an invoice without one is absent."""
    rows = await having(scope, "credit_notes", "invoice_id", invoice_ids, also="ORDER BY id")
    grouped: defaultdict[str, list[CreditNote]] = defaultdict(list)
    for row in rows:
        grouped[row["invoice_id"]].append(note_of(row))
    return dict(grouped)


async def lines_of_notes(scope: Scope, ids: Collection[str]) -> dict[str, list[CreditNoteLine]]:
    """Each credit note's lines by position."""
    rows = await having(
        scope, "credit_note_lines", "credit_note_id", ids, also="ORDER BY credit_note_id, position"
    )
    grouped: defaultdict[str, list[CreditNoteLine]] = defaultdict(list)
    for row in rows:
        grouped[row["credit_note_id"]].append(line_of(row))
    return dict(grouped)


async def applications_of_notes(scope: Scope, ids: Collection[str]) -> dict[str, list[Application]]:
    """Each credit note's account, the oldest entry first; one without entries is absent."""
    return await _applications(scope, "credit_note_id", ids)


async def customers_of(scope: Scope, ids: Collection[str]) -> dict[str, str]:
    """The ids of the customers that credit notes belong to, by theirs; absent ids are absent."""
    rows = await having(scope, "credit_notes", "id", ids, columns="id, customer_id")
    return {row["id"]: row["customer_id"] for row in rows}


async def applications_to_invoices(
    scope: Scope, invoice_ids: Collection[str]
) -> dict[str, list[Application]]:
    """What credit notes paid of each invoice, and what came back; one without is absent."""
    return await _applications(scope, "invoice_id", invoice_ids)


async def earlier(scope: Scope, line_ids: Collection[str]) -> dict[str, Amounts]:
    """What credit notes in force have given back of these lines of invoices; every line is a key.

    Holds only while the invoice of the lines is locked.
    """
    rows = await fetch(scope, _EARLIER, scope.tenant_id, scope.environment_id, list(line_ids))
    found = dict.fromkeys(line_ids, NO_AMOUNTS)
    for row in rows:
        found[row["invoice_line_id"]] = Amounts(
            row["amount"], row["discount"], row["tax"], row["tax_included"]
        )
    return found


async def pages_of_customers(
    scope: Scope, customer_ids: Collection[str], request: PageRequest
) -> dict[str, Page[CreditNote]]:
    """The page of each customer's credit notes; every customer is a key."""
    found = await listing.pages_of(
        scope, LISTING, request, column="customer_id", parents=customer_ids
    )
    return {customer_id: rows.map(note_of) for customer_id, rows in found.items()}


async def _applications(
    scope: Scope, column: str, ids: Collection[str]
) -> dict[str, list[Application]]:
    rows = await having(scope, "credit_note_applications", column, ids, also="ORDER BY id")
    grouped: defaultdict[str, list[Application]] = defaultdict(list)
    for row in rows:
        grouped[row[column]].append(application_of(row))
    return dict(grouped)
