"""Sparing customers a tax: one function per verb, each one transaction."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import asyncpg

from app.catalog.errors import Archived, NotArchived
from app.catalog.reads import tax_rates
from app.customers import reads as customers
from app.infra import outbox
from app.infra.postgres import writing
from app.infra.rows import the
from app.invoicing.records import insert, update
from app.invoicing.terms import tax_reads as reads
from app.invoicing.terms.events import (
    TaxExemptionArchived,
    TaxExemptionCreated,
    TaxExemptionEvent,
    TaxExemptionRestored,
    TaxExemptionUpdated,
)
from app.invoicing.terms.taxation import (
    CreateTaxExemption,
    TaxAssociationStatus,
    TaxExemption,
    TaxTreatment,
)
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.copies import replace
from app.kernel.errors import NotFound
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit

_TABLE = "tax_exemptions"
_MOST_RATES = 100


async def create(
    scope: Scope, command: CreateTaxExemption, *, by: Actor, at: datetime
) -> TaxExemption:
    """Spare a customer all taxes, or some, from what is drafted, computed or finalized next.

    Raises: Invalid, NotFound (the customer, a rate).
    """
    values = checked({name: getattr(command, name) for name in _CHECKS}, _CHECKS)
    new = TaxExemption(
        id=new_id("txe"),
        customer_id=command.customer_id,
        status=TaxAssociationStatus.ACTIVE,
        created_at=at,
        updated_at=at,
        archived_at=None,
        **values,
    )
    _check_times(new)
    found = await customers.by_ids(scope, [command.customer_id])
    the(found, "customer", command.customer_id, field="customerId")
    await _check_rates(scope, new)
    async with writing(scope) as connection:
        await insert(connection, _TABLE, [_row(scope, new)])
        await _told(scope, TaxExemptionCreated, None, new, by=by)
    return new


async def change(
    scope: Scope, exemption_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> TaxExemption:
    """Change the fields that `patch` holds; an absent field stays as it is.

    Raises: Invalid, NotFound, Archived.
    """
    values = checked(patch, _CHECKS)
    async with writing(scope) as connection:
        before = await _locked(connection, scope, exemption_id)
        if before.status is TaxAssociationStatus.ARCHIVED:
            raise Archived("tax exemption", exemption_id)
        after = replace(before, **values, updated_at=at)
        _check_times(after)
        await _check_rates(scope, after)
        await update(connection, _TABLE, [{"id": exemption_id, **values, "updated_at": at}])
        await _told(scope, TaxExemptionUpdated, before, after, by=by)
    return after


async def archive(scope: Scope, exemption_id: str, *, by: Actor, at: datetime) -> TaxExemption:
    """Spare the customer no more. Raises: NotFound, Archived."""
    async with writing(scope) as connection:
        before = await _locked(connection, scope, exemption_id)
        if before.status is TaxAssociationStatus.ARCHIVED:
            raise Archived("tax exemption", exemption_id)
        after = await _archived(connection, scope, before, archived_at=at, at=at)
        await _told(scope, TaxExemptionArchived, before, after, by=by)
    return after


async def restore(scope: Scope, exemption_id: str, *, by: Actor, at: datetime) -> TaxExemption:
    """Spare the customer again. Raises: NotFound, NotArchived."""
    async with writing(scope) as connection:
        before = await _locked(connection, scope, exemption_id)
        if before.status is TaxAssociationStatus.ACTIVE:
            raise NotArchived("tax exemption", exemption_id)
        after = await _archived(connection, scope, before, archived_at=None, at=at)
        await _told(scope, TaxExemptionRestored, before, after, by=by)
    return after


async def _check_rates(scope: Scope, exemption: TaxExemption) -> None:
    known = await tax_rates.by_ids(scope, exemption.tax_rate_ids)
    for index, rate_id in enumerate(exemption.tax_rate_ids):
        if rate_id not in known:
            raise NotFound("tax rate", rate_id, field=f"taxRateIds[{index}]")


async def _archived(
    connection: asyncpg.Connection,
    scope: Scope,
    before: TaxExemption,
    *,
    archived_at: datetime | None,
    at: datetime,
) -> TaxExemption:
    values = {"archived_at": archived_at, "updated_at": at}
    await update(connection, _TABLE, [{"id": before.id, **values}])
    return await reads.exemption(scope, before.id)


async def _told(
    scope: Scope,
    event: type[TaxExemptionEvent],
    before: TaxExemption | None,
    after: TaxExemption,
    *,
    by: Actor,
) -> None:
    at = after.updated_at
    verb = {
        TaxExemptionCreated: "create",
        TaxExemptionUpdated: "update",
        TaxExemptionArchived: "archive",
        TaxExemptionRestored: "restore",
    }[event]
    await audit.record(
        scope, by, f"tax_exemption.{verb}", after.id, at=at, before=before, after=after
    )
    await outbox.put(scope, event.of(after, at))


async def _locked(connection: asyncpg.Connection, scope: Scope, exemption_id: str) -> TaxExemption:
    await connection.execute(
        "SELECT 1 FROM tax_exemptions WHERE tenant_id = $1 AND environment_id = $2 "
        "AND id = $3 FOR UPDATE",
        scope.tenant_id,
        scope.environment_id,
        exemption_id,
    )
    return await reads.exemption(scope, exemption_id)


def _row(scope: Scope, exemption: TaxExemption) -> dict[str, Any]:
    row = asdict(exemption) | {
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
    }
    del row["status"]
    return row


def _check_times(exemption: TaxExemption) -> None:
    start, end = exemption.starts_at, exemption.ends_at
    if start is not None and end is not None and end <= start:
        raise checks.invalid("endsAt", f"{end.isoformat()} must lie after {start.isoformat()}")


def _kind(value: TaxTreatment | None) -> TaxTreatment:
    kind = required(value, "kind")
    if kind is TaxTreatment.STANDARD:
        raise checks.invalid("kind", "an exemption is exempt or reverse charge")
    return kind


def _rates(value: tuple[str, ...] | None) -> tuple[str, ...]:
    ids = tuple(dict.fromkeys(value or ()))
    if len(ids) > _MOST_RATES:
        raise checks.invalid("taxRateIds", f"{len(ids)} are too many; at most {_MOST_RATES} fit")
    return ids


_CHECKS: Checks = {
    "kind": _kind,
    "reason": lambda v: checks.text(required(v, "reason"), "reason", longest=500),
    "certificate": lambda v: checks.optional_text(v, "certificate"),
    "legend": lambda v: checks.optional_text(v, "legend", longest=500),
    "tax_rate_ids": _rates,
    "starts_at": lambda v: v,
    "ends_at": lambda v: v,
}
