"""Every verb on tenants and environments, and every refusal."""

import asyncio

import pytest

from app.infra.postgres import fetch
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.listing import Condition, PageRequest
from app.kernel.scope import SYSTEM, Scope
from app.tenants.actions import environments, tenants
from app.tenants.commands import CreateEnvironment, CreateTenant, CreateUser
from app.tenants.errors import Archived, LastEnvironment, NotArchived, NotSuspended, Suspended
from app.tenants.reads import environments as environment_reads
from app.tenants.reads import tenants as tenant_reads
from app.tenants.settings import EnvironmentSettings, effective
from app.tenants.tenant import EnvironmentStatus, EnvironmentType, TenantStatus, whole
from tests.tenants import make
from tests.tenants.refusal import refused

DEVELOPMENT = EnvironmentType.DEVELOPMENT


async def test_a_tenant_starts_with_two_environments_and_its_owner(database, clock):
    email = make.address()
    made = await make.owned_tenant(clock, email=email.upper())
    scope = whole(made.tenant.id)
    assert await tenant_reads.get(scope) == made.tenant
    assert made.tenant.status is TenantStatus.ACTIVE
    assert [(one.name, one.type) for one in await environment_reads.active(scope)] == [
        ("Production", EnvironmentType.PRODUCTION),
        ("Development", EnvironmentType.DEVELOPMENT),
    ]
    assert (made.owner.email, made.owner.roles) == (email, ("owner",))


async def test_a_tenant_may_start_without_anybody(database, clock):
    made = await make.tenant(clock)
    assert made.owner is None
    assert await fetch(whole(made.tenant.id), "SELECT * FROM users") == []


async def test_an_owner_whose_address_is_taken_makes_no_tenant(database, clock):
    made = await make.owned_tenant(clock)
    command = CreateUser(email=made.owner.email.title(), name="Ada", password=make.PASSWORD)
    await refused(
        AlreadyExists,
        tenants.create(CreateTenant(name="Other", owner=command), by=SYSTEM, at=clock.now()),
        field="email",
        code="ALREADY_EXISTS",
    )


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": "  "}, "name", "INVALID_NAME"),
        ({"name": "x" * 256}, "name", "INVALID_NAME"),
        ({"metadata": {"k": "v" * 513}}, "metadata", "INVALID_METADATA"),
        (
            {"owner": CreateUser(email="nobody", name="A", password=make.PASSWORD)},
            "email",
            "INVALID_EMAIL",
        ),
        (
            {"owner": CreateUser(email="a@b.example", name="A", password="too short")},
            "password",
            "INVALID_PASSWORD",
        ),
    ],
)
async def test_a_wrong_tenant_is_refused(database, clock, fields, field, code):
    command = CreateTenant(**{"name": "Acme"} | fields)
    action = tenants.create(command, by=SYSTEM, at=clock.now())
    await refused(Invalid, action, field=field, code=code)


async def test_a_tenant_is_renamed_and_keeps_what_was_not_named(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    metadata = {"region": "eu"}
    await tenants.update(scope, {"metadata": metadata}, by=SYSTEM, at=clock.now())
    after = await tenants.update(scope, {"name": " Acme Two "}, by=SYSTEM, at=clock.now())
    assert (after.name, after.metadata) == ("Acme Two", metadata)
    assert await tenant_reads.get(scope) == after


@pytest.mark.parametrize(
    ("patch", "field", "code"),
    [
        ({"name": None}, "name", "REQUIRED"),
        ({"name": ""}, "name", "INVALID_NAME"),
        ({"status": "suspended"}, "status", "UNKNOWN_FIELD"),
    ],
)
async def test_a_wrong_change_of_a_tenant_is_refused(database, clock, patch, field, code):
    made = await make.tenant(clock)
    action = tenants.update(make.production(made), patch, by=SYSTEM, at=clock.now())
    await refused(Invalid, action, field=field, code=code)


async def test_a_tenant_is_suspended_and_reactivated_once_each(database, clock):
    made = await make.tenant(clock)
    scope = whole(made.tenant.id)
    await refused(NotSuspended, tenants.reactivate(scope, by=SYSTEM, at=clock.now()))
    after = await tenants.suspend(scope, by=SYSTEM, at=clock.now())
    assert (after.status, after.suspended_at) == (TenantStatus.SUSPENDED, clock.now())
    await refused(Suspended, tenants.suspend(scope, by=SYSTEM, at=clock.now()))
    after = await tenants.reactivate(scope, by=SYSTEM, at=clock.now())
    assert (after.status, after.suspended_at) == (TenantStatus.ACTIVE, None)


async def test_an_unknown_tenant_is_not_found(database, scope, clock):
    for action in (
        tenants.update(scope, {"name": "X"}, by=SYSTEM, at=clock.now()),
        tenants.suspend(scope, by=SYSTEM, at=clock.now()),
        tenants.reactivate(scope, by=SYSTEM, at=clock.now()),
    ):
        await refused(NotFound, action, field="id")


async def test_the_operator_finds_tenants_by_name_by_id_and_in_order(database, clock):
    name = make.address()
    made = [await make.tenant(clock, name=name) for _ in range(2)]
    assert await tenant_reads.named(name) == [one.tenant for one in made]
    assert await tenant_reads.identified(made[1].tenant.id) == made[1].tenant
    assert await tenant_reads.identified("ten_unknown") is None
    after = await tenant_reads.everywhere(after=made[0].tenant.id, limit=1)
    assert after == [made[1].tenant]


async def test_environments_are_created_renamed_archived_and_restored(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    command = CreateEnvironment(name="Staging", type=DEVELOPMENT)
    staging = await environments.create(scope, command, by=SYSTEM, at=clock.now())
    assert await environment_reads.get(scope, staging.id) == staging
    renamed = await environments.update(
        scope, staging.id, {"name": "Test"}, by=SYSTEM, at=clock.now()
    )
    assert renamed.name == "Test"
    archived = await environments.archive(scope, staging.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (EnvironmentStatus.ARCHIVED, clock.now())
    assert staging.id not in {one.id for one in await environment_reads.active(scope)}
    restored = await environments.restore(scope, staging.id, by=SYSTEM, at=clock.now())
    assert (restored.status, restored.archived_at) == (EnvironmentStatus.ACTIVE, None)


async def test_environments_are_listed_with_filters(database, clock):
    made = await make.tenant(clock)
    scope = make.production(made)
    await environments.archive(scope, made.development.id, by=SYSTEM, at=clock.now())
    request = PageRequest(where=Condition("status", "eq", "active"), with_total=True)
    page = await environment_reads.page(scope, request)
    assert ([one.id for one in page.rows], page.total) == ([made.production.id], 1)


async def test_what_is_wrong_with_an_environment_is_refused(database, clock):
    made = await make.tenant(clock)
    scope, at = make.production(made), clock.now()
    dev = made.development.id
    taken = CreateEnvironment(name="Production", type=DEVELOPMENT)
    await refused(AlreadyExists, environments.create(scope, taken, by=SYSTEM, at=at), field="name")
    await refused(
        AlreadyExists,
        environments.update(scope, dev, {"name": "Production"}, by=SYSTEM, at=at),
        field="name",
    )
    await refused(
        Invalid,
        environments.update(scope, dev, {"type": "production"}, by=SYSTEM, at=at),
        code="UNKNOWN_FIELD",
    )
    await refused(NotArchived, environments.restore(scope, dev, by=SYSTEM, at=at))
    await environments.archive(scope, dev, by=SYSTEM, at=at)
    await refused(Archived, environments.archive(scope, dev, by=SYSTEM, at=at))
    await refused(Archived, environments.update(scope, dev, {"name": "X"}, by=SYSTEM, at=at))
    await refused(
        LastEnvironment, environments.archive(scope, made.production.id, by=SYSTEM, at=at)
    )
    for action in (
        environments.update(scope, "env_none", {"name": "X"}, by=SYSTEM, at=at),
        environments.archive(scope, "env_none", by=SYSTEM, at=at),
        environments.restore(scope, "env_none", by=SYSTEM, at=at),
    ):
        await refused(NotFound, action)


async def test_an_archived_environment_frees_its_name_and_comes_back_only_to_a_free_one(
    database, clock
):
    made = await make.tenant(clock)
    scope, at = make.production(made), clock.now()
    await environments.archive(scope, made.development.id, by=SYSTEM, at=at)
    command = CreateEnvironment(name="Development", type=DEVELOPMENT)
    await environments.create(scope, command, by=SYSTEM, at=at)
    action = environments.restore(scope, made.development.id, by=SYSTEM, at=at)
    await refused(AlreadyExists, action, field="name")


async def test_two_at_once_cannot_archive_the_last_two_environments(database, clock):
    made = await make.tenant(clock)
    scope, at = make.production(made), clock.now()
    outcomes = await asyncio.gather(
        environments.archive(scope, made.production.id, by=SYSTEM, at=at),
        environments.archive(scope, made.development.id, by=SYSTEM, at=at),
        return_exceptions=True,
    )
    assert sum(isinstance(one, LastEnvironment) for one in outcomes) == 1
    assert len(await environment_reads.active(scope)) == 1


async def test_settings_are_defaults_until_changed_and_null_puts_them_back(database, clock):
    made = await make.tenant(clock)
    scope, at = make.production(made), clock.now()
    assert await environment_reads.settings(scope) == EnvironmentSettings()
    patch = {"invoice": {"number_prefix": "ACME", "due_days": 14}}
    await environments.update_settings(scope, patch, by=SYSTEM, at=at)
    patch = {"invoice": {"due_days": None}, "events": {"max_past_days": 90}}
    after = await environments.update_settings(scope, patch, by=SYSTEM, at=at)
    assert after == await environment_reads.settings(scope)
    assert (after.invoice.number_prefix, after.invoice.due_days) == ("ACME", 30)
    assert after.events.max_past_days == 90
    after = await environments.update_settings(scope, {"invoice": None}, by=SYSTEM, at=at)
    assert after.invoice == EnvironmentSettings().invoice
    other = await environment_reads.settings(make.development(made))
    assert other == EnvironmentSettings()


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"invoice": {"due_days": -1}}, "invoice.dueDays"),
        ({"invoice": {"due_days": "30"}}, "invoice.dueDays"),
        ({"invoice": {"number_prefix": "A B"}}, "invoice.numberPrefix"),
        ({"invoice": {"number_date": "MM"}}, "invoice.numberDate"),
        ({"invoice": {"number_timezone": "Mars"}}, "invoice.numberTimezone"),
        ({"invoice": {"colour": "red"}}, "invoice"),
        ({"invoice": {"seller_name": "  "}}, "invoice.sellerName"),
        ({"invoice": {"seller_name": "x" * 256}}, "invoice.sellerName"),
        ({"invoice": {"seller_name": "a\x00b"}}, "invoice.sellerName"),
        ({"invoice": {"seller_lines": ["x"] * 9}}, "invoice.sellerLines"),
        ({"invoice": {"seller_lines": ["1 Main St", ""]}}, "invoice.sellerLines[1]"),
        ({"invoice": {"seller_lines": ["1 Main St", "x" * 256]}}, "invoice.sellerLines[1]"),
        ({"invoice": {"seller_email": "skyport"}}, "invoice.sellerEmail"),
        ({"events": {"max_past_days": 0}}, "events.maxPastDays"),
        ({"invoice": {"credit_note_prefix": ""}}, "invoice.creditNotePrefix"),
        ({"invoice": {"zero_invoices": "drop"}}, "invoice.zeroInvoices"),
        ({"seller": {"country": "Germany"}}, "seller.country"),
        ({"seller": {"tax_id": "x" * 65}}, "seller.taxId"),
        ({"seller": {"electronic_scheme": "9930"}}, "seller.electronicScheme"),
        ({"seller": {"electronic_scheme": "EM", "electronic_id": "x"}}, "seller.electronicScheme"),
        ({"seller": {"iban": "DE89370400440532013001"}}, "seller.iban"),
        ({"documents": {"layout": "fancy"}}, "documents.layout"),
        ({"documents": {"locale": "ja-JP"}}, "documents.locale"),
        ({"documents": {"payment_terms": "a\x00b"}}, "documents.paymentTerms"),
        ({"payments": {}}, "payments"),
        ({"invoice": 5}, "invoice"),
    ],
)
async def test_a_wrong_setting_names_its_path_and_changes_nothing(database, clock, patch, field):
    made = await make.tenant(clock)
    scope = make.production(made)
    action = environments.update_settings(scope, patch, by=SYSTEM, at=clock.now())
    await refused(Invalid, action, field=field, code="INVALID_SETTING")


def test_stored_settings_are_read_over_the_defaults():
    assert effective({"invoice": {"number_digits": 8}}).invoice.number_digits == 8


async def test_settings_of_an_unknown_environment_are_not_found(database, clock):
    made = await make.tenant(clock)
    scope = Scope(made.tenant.id, "env_none")
    patch = {"invoice": {"due_days": 1}}
    action = environments.update_settings(scope, patch, by=SYSTEM, at=clock.now())
    await refused(NotFound, action)
