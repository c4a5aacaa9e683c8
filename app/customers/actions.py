"""What can be done with a customer: one function per verb, each one transaction."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tortoise.exceptions import IntegrityError

from app.clocks import reads as clocks
from app.customers import joining, reads
from app.customers.customer import (
    Address,
    CreateCustomer,
    Customer,
    CustomerStatus,
    ElectronicAddress,
)
from app.customers.errors import CustomerHasWork, CustomerIsActive, CustomerIsArchived
from app.customers.events import (
    CustomerArchived,
    CustomerCreated,
    CustomerRestored,
    CustomerUpdated,
)
from app.customers.models import CustomerTable
from app.infra import due, outbox
from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.copies import fields_of
from app.kernel.errors import AlreadyExists
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit, locales
from app.tenants.settings import NUMBER_PREFIX


async def create(
    scope: Scope,
    command: CreateCustomer,
    *,
    by: Actor,
    at: datetime,
    member_since: datetime | None = None,
) -> Customer:
    """`member_since`: from when its usage counts with its parent's; None: from now.

    Raises: Invalid, AlreadyExists (another customer has the external id).
    With a test clock also: NotFound, Archived, GovernsEnvironment; `at` is the clock's present.
    With a parent also: NotFound, CustomerIsArchived, HierarchyTooDeep, ParentOnOtherClock.
    """
    fields = fields_of(command)
    clock_id, parent_id = fields.pop("test_clock_id"), command.parent_id
    values, customer_id = checked(fields, _CHECKS), new_id("cus")
    try:
        async with writing(scope):
            if parent_id is not None:
                await joining.hold(scope, [parent_id])
                if clock_id is None:
                    clock_id = (await due.clocks_of(scope, [parent_id])).get(parent_id)
            await joining.check_parent(
                scope, customer_id, parent_id, pays=command.parent_pays, clock_id=clock_id
            )
            if clock_id is not None:
                await clocks.open_to_customers(scope, clock_id, field="testClockId")
                await due.settle(scope, customer_id, clock_id)
            await CustomerTable.create(
                id=customer_id,
                tenant_id=scope.tenant_id,
                environment_id=scope.environment_id,
                created_at=at,
                updated_at=at,
                **values,
            )
            customer = await reads.get(scope, customer_id)
            await joining.note(scope, None, customer, since=member_since or at, at=at)
            facts = fields_of(customer) | {"test_clock_id": clock_id}
            await audit.record(scope, by, "customer.create", customer_id, at=at, after=facts)
            await outbox.put(scope, CustomerCreated(entity_id=customer_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("customer", "externalId", command.external_id) from error
    return customer


async def update(
    scope: Scope, customer_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Customer:
    """Change the fields that `patch` holds; an absent field stays as it is.

    The external id may change: events already sent keep the old one. With another parent, its
    usage counts with that one's from now on.
    Raises: Invalid, NotFound, CustomerIsArchived, AlreadyExists, HierarchyTooDeep,
    ParentOnOtherClock.
    """
    values = checked(patch, _CHECKS)
    try:
        async with writing(scope):
            await joining.hold(scope, [customer_id, values.get("parent_id")])
            before = await reads.get(scope, customer_id)
            if before.status is CustomerStatus.ARCHIVED:
                raise CustomerIsArchived(customer_id)
            if values.keys() & {"parent_id", "parent_pays"}:
                await joining.check_parent(
                    scope,
                    customer_id,
                    values.get("parent_id", before.parent_id),
                    pays=values.get("parent_pays", before.parent_pays),
                    clock_id=(await due.clocks_of(scope, [customer_id])).get(customer_id),
                )
            await CustomerTable.filter(id=customer_id).update(**values, updated_at=at)
            after = await reads.get(scope, customer_id)
            await joining.note(scope, before, after, since=at, at=at)
            await audit.record(
                scope, by, "customer.update", customer_id, at=at, before=before, after=after
            )
            await outbox.put(scope, CustomerUpdated(entity_id=customer_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("customer", "externalId", patch["external_id"]) from error
    return after


async def archive(scope: Scope, customer_id: str, *, by: Actor, at: datetime) -> Customer:
    """Take the customer out of use; its external id becomes free. Its parent still pays, and its
    usage counts with that one's until now.

    Raises: NotFound, CustomerIsArchived, CustomerHasChildren.
    """
    async with writing(scope):
        before = await locked(scope, customer_id)
        if before.status is CustomerStatus.ARCHIVED:
            raise CustomerIsArchived(customer_id)
        await joining.check_childless(scope, customer_id)
        await CustomerTable.filter(id=customer_id).update(archived_at=at, updated_at=at)
        after = await reads.get(scope, customer_id)
        await joining.note(scope, before, after, since=at, at=at)
        await audit.record(
            scope, by, "customer.archive", customer_id, at=at, before=before, after=after
        )
        await outbox.put(scope, CustomerArchived(entity_id=customer_id, occurred_at=at))
    return after


async def restore(scope: Scope, customer_id: str, *, by: Actor, at: datetime) -> Customer:
    """Put an archived customer back, into its family too.

    Raises: NotFound, CustomerIsActive, AlreadyExists; where the parent takes no child any more:
    CustomerIsArchived, HierarchyTooDeep.
    """
    parent_id = (await reads.get(scope, customer_id)).parent_id
    try:
        async with writing(scope):
            await joining.hold(scope, [customer_id, parent_id])
            before = await reads.get(scope, customer_id)
            if before.status is CustomerStatus.ACTIVE:
                raise CustomerIsActive(customer_id)
            clock_id = (await due.clocks_of(scope, [customer_id])).get(customer_id)
            await joining.check_parent(
                scope, customer_id, parent_id, pays=before.parent_pays, clock_id=clock_id
            )
            await CustomerTable.filter(id=customer_id).update(archived_at=None, updated_at=at)
            after = await reads.get(scope, customer_id)
            await joining.note(scope, before, after, since=at, at=at)
            await audit.record(
                scope, by, "customer.restore", customer_id, at=at, before=before, after=after
            )
            await outbox.put(scope, CustomerRestored(entity_id=customer_id, occurred_at=at))
    except IntegrityError as error:
        raise AlreadyExists("customer", "externalId", before.external_id) from error
    return after


async def move(
    scope: Scope, customer_id: str, clock_id: str | None, *, by: Actor, at: datetime
) -> Customer:
    """Let the customer live on a test clock, on another one, or by the environment's present.

    Call in the transaction that holds the customer and has seen that the clock can take it and
    that it has nothing whose past would change with its present, such as a subscription.
    Raises: NotFound, CustomerIsArchived, CustomerHasWork, CustomerHasChildren.
    """
    async with writing(scope):
        customer = await locked(scope, customer_id)
        if customer.status is CustomerStatus.ARCHIVED:
            raise CustomerIsArchived(customer_id)
        if customer.parent_id is not None:
            raise CustomerHasWork(customer_id, "a parent")
        await joining.check_childless(scope, customer_id)
        if await due.has_work(scope, customer_id):
            raise CustomerHasWork(customer_id)
        before = (await due.clocks_of(scope, [customer_id])).get(customer_id)
        await due.settle(scope, customer_id, clock_id)
        await audit.record(
            scope,
            by,
            "customer.move",
            customer_id,
            at=at,
            before={"test_clock_id": before},
            after={"test_clock_id": clock_id},
        )
        await outbox.put(scope, CustomerUpdated(entity_id=customer_id, occurred_at=at))
    return customer


async def locked(scope: Scope, customer_id: str) -> Customer:
    """The customer, its row locked until the transaction ends. Raises: NotFound."""
    await (
        CustomerTable.filter(
            tenant_id=scope.tenant_id, environment_id=scope.environment_id, id=customer_id
        )
        .select_for_update()
        .only("id")
    )
    return await reads.get(scope, customer_id)


async def lock_shared(scope: Scope, customer_id: str) -> None:
    """Keep the customer as it is, present included, until the transaction ends."""
    sql = (
        "SELECT 1 FROM customers WHERE tenant_id = $1 AND environment_id = $2 AND id = $3 FOR SHARE"
    )
    async with writing(scope) as connection:
        await connection.execute(sql, scope.tenant_id, scope.environment_id, customer_id)


def _address(value: Address | None) -> dict[str, str]:
    if value is None:
        return {}
    parts = {name: part for name, part in asdict(value).items() if part is not None}
    for name, part in parts.items():
        field = "address." + {"postal_code": "postalCode"}.get(name, name)
        parts[name] = checks.country(part, field) if name == "country" else checks.text(part, field)
    return parts


def _electronic(value: ElectronicAddress | None) -> dict[str, str] | None:
    if value is None:
        return None
    field = "electronicAddress"
    if not re.fullmatch(r"\d{4}", value.scheme, re.ASCII):
        raise checks.invalid(
            f"{field}.scheme", f"{value.scheme!r} is not an ISO 6523 code of four digits"
        )
    return {"scheme": value.scheme, "id": checks.text(value.id, f"{field}.id", longest=128)}


def _prefix(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(NUMBER_PREFIX, value):
        raise checks.invalid(
            "invoicePrefix",
            f"{value!r} must start with a letter or digit and hold only letters, digits and "
            "'/', '_', '.', '-', at most 20 of them",
        )
    return value


_CHECKS: Checks = {
    "external_id": lambda v: checks.text(required(v, "externalId"), "externalId"),
    "name": lambda v: checks.text(required(v, "name"), "name"),
    "email": lambda v: None if v is None else checks.email(v),
    "timezone": lambda v: checks.timezone(required(v, "timezone")),
    "currency": lambda v: None if v is None else checks.currency(v),
    "address": _address,
    "tax_id": lambda v: checks.optional_text(v, "taxId", longest=64),
    "registration_number": lambda v: checks.optional_text(v, "registrationNumber", longest=64),
    "electronic_address": _electronic,
    "locale": lambda v: None if v is None else locales.check(v),
    "invoice_prefix": _prefix,
    "consolidate_invoices": lambda v: v,
    "parent_id": lambda v: v,
    "parent_pays": lambda v: required(v, "parentPays"),
    "inherits": lambda v: required(v, "inherits"),
    "metadata": lambda v: checks.metadata(v or {}),
}
