from datetime import timedelta

import pytest

from app.customers import actions, reads
from app.customers.customer import (
    Address,
    CreateCustomer,
    CustomerStatus,
    ElectronicAddress,
)
from app.customers.errors import CustomerIsActive, CustomerIsArchived
from app.infra.postgres import fetch
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope


async def create(scope, clock, **fields):
    command = CreateCustomer(**{"external_id": "acme", "name": "Acme"} | fields)
    return await actions.create(scope, command, by=SYSTEM, at=clock.now())


async def count(scope, table):
    return (await fetch(scope, f"SELECT count(*) FROM {table}"))[0]["count"]  # noqa: S608


async def test_what_is_created_is_found(database, scope, clock):
    address = Address(line1="1 Main St", city="Berlin", postal_code="10115", country="DE")
    made = await create(
        scope,
        clock,
        email="ops@acme.example",
        timezone="Europe/Berlin",
        currency="EUR",
        address=address,
        tax_id="DE123456789",
        registration_number="HRB 1",
        electronic_address=ElectronicAddress("9930", "DE123456789"),
        locale="de-de",
        invoice_prefix="ACME",
        consolidate_invoices=True,
        metadata={"segment": "b2b"},
    )
    assert (made.locale, made.invoice_prefix, made.consolidate_invoices) == ("de-DE", "ACME", True)
    assert made.electronic_address == ElectronicAddress("9930", "DE123456789")
    assert await reads.get(scope, made.id) == made
    assert made.address == address
    assert made.metadata == {"segment": "b2b"}
    assert made.created_at == clock.now()
    assert (await reads.by_external_ids(scope, ["acme", "none"])) == {"acme": made}


async def test_creation_is_audited_and_told(database, scope, clock):
    made = await create(scope, clock)
    audit = await fetch(scope, "SELECT * FROM audit_entries")
    told = await fetch(scope, "SELECT name, entity_id FROM outbox")
    assert [(row["action"], row["entity_id"]) for row in audit] == [("customer.create", made.id)]
    assert [tuple(row) for row in told] == [("customer.created", made.id)]


async def test_a_second_customer_with_the_external_id_is_refused(database, scope, clock):
    await create(scope, clock)
    with pytest.raises(AlreadyExists) as refused:
        await create(scope, clock, name="Other")
    assert refused.value.field == "externalId"
    assert await count(scope, "customers") == 1
    assert await count(scope, "outbox") == 1
    assert await count(scope, "audit_entries") == 1


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": " "}, "name", "INVALID_NAME"),
        ({"external_id": "x" * 256}, "externalId", "INVALID_EXTERNAL_ID"),
        ({"email": "nobody"}, "email", "INVALID_EMAIL"),
        ({"timezone": "Mars"}, "timezone", "INVALID_TIMEZONE"),
        ({"currency": "DOLLAR"}, "currency", "INVALID_CURRENCY"),
        ({"address": Address(country="Germany")}, "address.country", "INVALID_COUNTRY"),
        ({"metadata": {"k": "x" * 513}}, "metadata", "INVALID_METADATA"),
        ({"tax_id": "x" * 65}, "taxId", "INVALID_TAX_ID"),
        ({"registration_number": " "}, "registrationNumber", "INVALID_REGISTRATION_NUMBER"),
        (
            {"electronic_address": ElectronicAddress("EM", "a")},
            "electronicAddress.scheme",
            "INVALID_SCHEME",
        ),
        (
            {"electronic_address": ElectronicAddress("0088", "")},
            "electronicAddress.id",
            "INVALID_ID",
        ),
        ({"locale": "ar-EG"}, "locale", "INVALID_LOCALE"),
        ({"locale": "de_DE"}, "locale", "INVALID_LOCALE"),
        ({"invoice_prefix": "-A"}, "invoicePrefix", "INVALID_INVOICE_PREFIX"),
        ({"invoice_prefix": "A" * 21}, "invoicePrefix", "INVALID_INVOICE_PREFIX"),
    ],
)
async def test_bad_input_names_the_field_and_changes_nothing(
    database, scope, clock, fields, field, code
):
    with pytest.raises(Invalid) as refused:
        await create(scope, clock, **fields)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert await count(scope, "customers") == 0
    assert await count(scope, "audit_entries") == 0


async def test_a_patch_changes_only_what_it_holds(database, scope, clock):
    made = await create(scope, clock, email="a@b.example")
    clock.at += timedelta(hours=1)
    changed = await actions.update(
        scope, made.id, {"name": "Acme Ltd", "email": None}, by=SYSTEM, at=clock.now()
    )
    assert (changed.name, changed.email, changed.external_id) == ("Acme Ltd", None, "acme")
    assert changed.updated_at == clock.now()
    entry = (await fetch(scope, "SELECT * FROM audit_entries ORDER BY at"))[1]
    assert '"Acme"' in entry["before"]
    assert '"Acme Ltd"' in entry["after"]
    assert "external_id" not in entry["after"]


async def test_archiving_frees_the_external_id_and_restoring_claims_it(database, scope, clock):
    first = await create(scope, clock)
    archived = await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    assert archived.status is CustomerStatus.ARCHIVED
    second = await create(scope, clock)
    with pytest.raises(AlreadyExists):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())
    assert (await reads.get(scope, first.id)).status is CustomerStatus.ARCHIVED
    await actions.archive(scope, second.id, by=SYSTEM, at=clock.now())
    restored = await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())
    assert restored.archived_at is None


async def test_verbs_that_do_not_fit_the_state_are_refused(database, scope, clock):
    made = await create(scope, clock)
    with pytest.raises(CustomerIsActive):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    with pytest.raises(CustomerIsArchived):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    with pytest.raises(CustomerIsArchived):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())


async def test_another_scope_finds_nothing_and_can_change_nothing(database, scope, clock):
    made = await create(scope, clock)
    for stranger in (
        Scope(scope.tenant_id, "env_other"),
        Scope("ten_other", scope.environment_id),
    ):
        assert await reads.by_ids(stranger, [made.id]) == {}
        with pytest.raises(NotFound):
            await actions.archive(stranger, made.id, by=SYSTEM, at=clock.now())
    assert (await reads.get(scope, made.id)).status is CustomerStatus.ACTIVE
