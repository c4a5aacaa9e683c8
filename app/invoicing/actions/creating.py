"""Invoices of lines written by hand, for what no subscription sells."""

from datetime import datetime

from asyncpg import UniqueViolationError

from app.catalog.errors import Archived
from app.customers import reads as customers
from app.customers.customer import Customer, CustomerStatus
from app.infra.postgres import writing
from app.infra.rows import the
from app.invoicing import manual
from app.invoicing.actions.finalizing import finalize
from app.invoicing.actions.saving import add
from app.invoicing.drafts import Drafted
from app.invoicing.invoice import Invoice
from app.invoicing.manual import CreateInvoice
from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.errors import AlreadyExists, Invalid
from app.kernel.scope import Actor, Scope


async def create(
    scope: Scope, command: CreateInvoice, *, finalized: bool, by: Actor, at: datetime
) -> Invoice:
    """A draft that waits for somebody to finalize it, or an issued invoice at once.

    Raises: Invalid, NotFound, Archived (the customer), AlreadyExists (the key), NumberTaken.
    """
    checked = _checked(command)
    found = await customers.by_ids(scope, [command.customer_id])
    customer = the(found, "customer", command.customer_id, field="customerId")
    if customer.status is CustomerStatus.ARCHIVED:
        raise Archived("customer", customer.id, field="customerId")
    drafted = _drafted(checked, customer, at)
    try:
        async with writing(scope) as connection:
            (added,) = await add(connection, scope, [drafted], by=by, at=at)
            if not finalized:
                return added.invoice
            return await finalize(scope, drafted.invoice.id, by=by, at=at)
    except UniqueViolationError as error:
        raise AlreadyExists("invoice", "key", command.key) from error


def _checked(command: CreateInvoice) -> CreateInvoice:
    if not 0 < len(command.lines) <= manual.MOST_LINES:
        raise checks.invalid("lines", f"1 to {manual.MOST_LINES} lines make an invoice")
    fields = {name: getattr(command, name) for name in manual.FIELDS}
    return replace(
        command,
        key=checks.optional_text(command.key, "key"),
        lines=tuple(
            manual.checked(line, f"lines[{index}]") for index, line in enumerate(command.lines)
        ),
        **checks.checked(fields, manual.FIELDS),
    )


def _drafted(command: CreateInvoice, customer: Customer, at: datetime) -> Drafted:
    currency = command.currency or customer.currency
    if currency is None:
        raise Invalid(
            "currency: the customer has none, so the invoice needs one",
            field="currency",
            code="REQUIRED",
        )
    invoice = manual.blank(
        command, currency=checks.currency(currency), timezone=customer.timezone, at=at
    )
    lines = tuple(
        manual.written(line, invoice, position=index + 1, field=f"lines[{index}]")
        for index, line in enumerate(command.lines)
    )
    return Drafted(replace(invoice, totals=manual.sums(lines, invoice.currency)), lines)
