"""Saying whom a tax is asked of: one function per verb, each one transaction."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import asyncpg
from asyncpg import UniqueViolationError

from app.catalog.actions.locks import lock
from app.catalog.errors import Archived, NotArchived
from app.catalog.reads import tax_rates
from app.catalog.tax_rate import TaxRate, TaxRateStatus
from app.customers import reads as customers
from app.infra import outbox
from app.infra.postgres import writing
from app.infra.rows import the
from app.invoicing.actions import locks
from app.invoicing.actions.reckoning import reckon_again
from app.invoicing.errors import InvoiceNotDraft
from app.invoicing.invoice import Invoice, InvoiceStatus
from app.invoicing.records import insert, update
from app.invoicing.terms import tax_reads as reads
from app.invoicing.terms.errors import TaxAlreadyAssociated
from app.invoicing.terms.events import (
    TaxAssociationArchived,
    TaxAssociationCreated,
    TaxAssociationEvent,
    TaxAssociationRestored,
    TaxAssociationUpdated,
)
from app.invoicing.terms.taxation import (
    CreateTaxAssociation,
    TaxAssociation,
    TaxAssociationStatus,
)
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads as subscriptions
from app.tenants import audit

_TABLE = "tax_associations"


async def create(
    scope: Scope, command: CreateTaxAssociation, *, by: Actor, at: datetime
) -> TaxAssociation:
    """Have a tax asked of the environment's invoices, a customer's, a subscription's, or of one.

    One of a single draft is asked at once; the others when invoices are drafted, computed or
    finalized. Raises: Invalid, NotFound, Archived (the rate), InvoiceNotDraft,
    TaxAlreadyAssociated.
    """
    _check_times(command.starts_at, command.ends_at)
    rate = await _rate(scope, command)
    new = _association(command, rate, at=at)
    owner_id = new.owner_id or scope.environment_id
    try:
        async with writing(scope) as connection:
            await lock(connection, scope, "tax_rates", rate.id, shared=True)
            await _check_rate(scope, rate.id)
            draft = await _owner(connection, scope, new)
            await insert(connection, _TABLE, [_row(scope, new)])
            await _told(scope, TaxAssociationCreated, None, new, by=by)
            await _ask_now(connection, scope, draft, by=by, at=at)
    except UniqueViolationError as error:
        raise TaxAlreadyAssociated(rate.id, owner_id) from error
    return new


async def change(
    scope: Scope, association_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> TaxAssociation:
    """Change the fields that `patch` holds (`priority`, `auto_apply`, `starts_at`, `ends_at`).

    Raises: Invalid, NotFound, Archived, InvoiceNotDraft.
    """
    values = checked(patch, _CHANGEABLE)
    async with writing(scope) as connection:
        before = await _locked(connection, scope, association_id)
        if before.status is TaxAssociationStatus.ARCHIVED:
            raise Archived("tax association", association_id)
        after = replace(before, **values, updated_at=at)
        _check_times(after.starts_at, after.ends_at)
        draft = await _draft(connection, scope, before)
        await update(connection, _TABLE, [{"id": before.id, **values, "updated_at": at}])
        await _told(scope, TaxAssociationUpdated, before, after, by=by)
        await _ask_now(connection, scope, draft, by=by, at=at)
    return after


async def archive(scope: Scope, association_id: str, *, by: Actor, at: datetime) -> TaxAssociation:
    """Have the tax asked no more. Raises: NotFound, Archived, InvoiceNotDraft."""
    async with writing(scope) as connection:
        before = await _locked(connection, scope, association_id)
        if before.status is TaxAssociationStatus.ARCHIVED:
            raise Archived("tax association", association_id)
        draft = await _draft(connection, scope, before)
        after = await _archived(connection, scope, before, archived_at=at, at=at)
        await _told(scope, TaxAssociationArchived, before, after, by=by)
        await _ask_now(connection, scope, draft, by=by, at=at)
    return after


async def restore(scope: Scope, association_id: str, *, by: Actor, at: datetime) -> TaxAssociation:
    """Have the tax asked again.

    Raises: NotFound, NotArchived, Archived (the rate), InvoiceNotDraft, TaxAlreadyAssociated.
    """
    before = await reads.association(scope, association_id)
    try:
        async with writing(scope) as connection:
            await lock(connection, scope, "tax_rates", before.tax_rate_id, shared=True)
            before = await _locked(connection, scope, association_id)
            if before.status is TaxAssociationStatus.ACTIVE:
                raise NotArchived("tax association", association_id)
            await _check_rate(scope, before.tax_rate_id)
            draft = await _draft(connection, scope, before)
            after = await _archived(connection, scope, before, archived_at=None, at=at)
            await _told(scope, TaxAssociationRestored, before, after, by=by)
            await _ask_now(connection, scope, draft, by=by, at=at)
    except UniqueViolationError as error:
        owner_id = before.owner_id or scope.environment_id
        raise TaxAlreadyAssociated(before.tax_rate_id, owner_id) from error
    return after


async def carry_over(
    connection: asyncpg.Connection,
    scope: Scope,
    invoice_id: str,
    replacement_id: str,
    *,
    by: Actor,
    at: datetime,
) -> None:
    """Have the taxes of an invoice alone asked of the one that takes its place, too.

    Call inside `writing(scope)`, before the replacement is reckoned.
    """
    for old in await reads.associations_of(scope, [invoice_id]):
        new = replace(
            old, id=new_id("txa"), invoice_id=replacement_id, created_at=at, updated_at=at
        )
        await insert(connection, _TABLE, [_row(scope, new)])
        await _told(scope, TaxAssociationCreated, None, new, by=by)


async def _rate(scope: Scope, command: CreateTaxAssociation) -> TaxRate:
    if (command.tax_rate_id is None) == (command.code is None):
        missing = command.tax_rate_id is None
        raise Invalid(
            "taxRateId: name the rate by id or by code",
            field="taxRateId" if missing else "code",
            code="TAX_RATE_REQUIRED" if missing else "TAX_RATE_AMBIGUOUS",
        )
    if command.tax_rate_id is not None:
        return await tax_rates.get(scope, command.tax_rate_id, field="taxRateId")
    code = command.code or ""
    found = await tax_rates.by_codes(scope, [code])
    if code not in found:
        raise NotFound("tax rate with the code", code, field="code")
    return found[code]


async def _check_rate(scope: Scope, tax_rate_id: str) -> None:
    """Under its lock: that the rate takes new associations."""
    rate = await tax_rates.get(scope, tax_rate_id, field="taxRateId")
    if rate.status is TaxRateStatus.ARCHIVED:
        raise Archived("tax rate", tax_rate_id, field="taxRateId")


def _association(command: CreateTaxAssociation, rate: TaxRate, *, at: datetime) -> TaxAssociation:
    named = {
        "customerId": command.customer_id,
        "subscriptionId": command.subscription_id,
        "invoiceId": command.invoice_id,
    }
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise Invalid(
            f"{given[1]}: name one of a customer, a subscription and an invoice, or none",
            field=given[1],
            code="OWNER_AMBIGUOUS",
        )
    return TaxAssociation(
        id=new_id("txa"),
        tax_rate_id=rate.id,
        customer_id=command.customer_id,
        subscription_id=command.subscription_id,
        invoice_id=command.invoice_id,
        priority=_priority(command.priority),
        auto_apply=command.auto_apply,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        status=TaxAssociationStatus.ACTIVE,
        created_at=at,
        updated_at=at,
        archived_at=None,
    )


async def _owner(
    connection: asyncpg.Connection, scope: Scope, new: TaxAssociation
) -> Invoice | None:
    """That what it is with is there; the draft, locked, where it is one invoice's."""
    if new.customer_id is not None:
        found = await customers.by_ids(scope, [new.customer_id])
        the(found, "customer", new.customer_id, field="customerId")
    if new.subscription_id is not None:
        bought = await subscriptions.by_ids(scope, [new.subscription_id])
        the(bought, "subscription", new.subscription_id, field="subscriptionId")
    return await _draft(connection, scope, new, field="invoiceId")


async def _draft(
    connection: asyncpg.Connection, scope: Scope, association: TaxAssociation, *, field: str = "id"
) -> Invoice | None:
    """The draft that the association is with, locked. Raises: NotFound, InvoiceNotDraft."""
    if association.invoice_id is None:
        return None
    found = {i.id: i for i in await locks.invoices(connection, scope, [association.invoice_id])}
    invoice = the(found, "invoice", association.invoice_id, field=field)
    if invoice.status is not InvoiceStatus.DRAFT:
        raise InvoiceNotDraft(invoice.id, invoice.status)
    return invoice


async def _ask_now(
    connection: asyncpg.Connection, scope: Scope, draft: Invoice | None, *, by: Actor, at: datetime
) -> None:
    if draft is not None:
        await reckon_again(connection, scope, [draft], by=by, at=at)


async def _archived(
    connection: asyncpg.Connection,
    scope: Scope,
    before: TaxAssociation,
    *,
    archived_at: datetime | None,
    at: datetime,
) -> TaxAssociation:
    values = {"archived_at": archived_at, "updated_at": at}
    await update(connection, _TABLE, [{"id": before.id, **values}])
    return await reads.association(scope, before.id)


async def _told(
    scope: Scope,
    event: type[TaxAssociationEvent],
    before: TaxAssociation | None,
    after: TaxAssociation,
    *,
    by: Actor,
) -> None:
    at = after.updated_at
    action = {
        TaxAssociationCreated: "create",
        TaxAssociationUpdated: "update",
        TaxAssociationArchived: "archive",
        TaxAssociationRestored: "restore",
    }[event]
    await audit.record(
        scope, by, f"tax_association.{action}", after.id, at=at, before=before, after=after
    )
    await outbox.put(scope, event.of(after, at))


async def _locked(
    connection: asyncpg.Connection, scope: Scope, association_id: str
) -> TaxAssociation:
    await connection.execute(
        "SELECT 1 FROM tax_associations WHERE tenant_id = $1 AND environment_id = $2 "
        "AND id = $3 FOR UPDATE",
        scope.tenant_id,
        scope.environment_id,
        association_id,
    )
    return await reads.association(scope, association_id)


def _row(scope: Scope, association: TaxAssociation) -> dict[str, Any]:
    row = asdict(association) | {
        "owner_id": association.owner_id or scope.environment_id,
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
    }
    del row["status"]
    return row


def _check_times(starts_at: datetime | None, ends_at: datetime | None) -> None:
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise checks.invalid("endsAt", f"{ends_at.isoformat()} must lie after the start")


def _priority(value: int | None) -> int:
    given = required(value, "priority")
    if not 0 <= given <= 10_000:
        raise checks.invalid("priority", f"{given} must lie between 0 and 10,000")
    return given


_CHANGEABLE: Checks = {
    "priority": _priority,
    "auto_apply": lambda v: required(v, "autoApply"),
    "starts_at": lambda v: v,
    "ends_at": lambda v: v,
}
