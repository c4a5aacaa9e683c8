from datetime import timedelta

import pytest

from app.catalog.actions import plans as actions
from app.catalog.errors import Archived, NotArchived
from app.catalog.plan import PlanStatus
from app.catalog.reads import plans as reads
from app.infra.listing import PageRequest
from app.kernel.errors import AlreadyExists, Invalid, NotFound
from app.kernel.scope import SYSTEM, Scope
from tests.catalog import make
from tests.catalog.history import audited, changes, refused, told


async def test_what_is_created_is_found(database, scope, clock):
    made = await make.plan(
        scope, clock, name="Pro", lookup_key="pro", description="For teams", metadata={"tier": "2"}
    )
    assert (made.name, made.lookup_key, made.description) == ("Pro", "pro", "For teams")
    assert made.metadata == {"tier": "2"}
    assert made.status is PlanStatus.ACTIVE
    assert await reads.get(scope, made.id) == made
    assert await reads.by_lookup_keys(scope, ["pro", "none"]) == {"pro": made}
    assert await audited(scope, made.id) == ["plan.create"]
    assert await told(scope, made.id) == [("plan.created", {})]


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": ""}, "name", "INVALID_NAME"),
        ({"lookup_key": "-pro"}, "lookupKey", "INVALID_LOOKUP_KEY"),
        ({"description": ""}, "description", "INVALID_DESCRIPTION"),
        ({"metadata": {"": "x"}}, "metadata", "INVALID_METADATA"),
    ],
)
async def test_wrong_input_is_refused(database, scope, clock, fields, field, code):
    async with refused(scope, Invalid, code, field):
        await make.plan(scope, clock, **fields)


async def test_a_lookup_key_is_taken_until_its_plan_is_archived(database, scope, clock):
    first = await make.plan(scope, clock, lookup_key="pro")
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await make.plan(scope, clock, lookup_key="pro")
    await actions.archive(scope, first.id, by=SYSTEM, at=clock.now())
    second = await make.plan(scope, clock, lookup_key="pro")
    assert await reads.by_lookup_keys(scope, ["pro"]) == {"pro": second}
    async with refused(scope, AlreadyExists, "ALREADY_EXISTS", "lookupKey"):
        await actions.restore(scope, first.id, by=SYSTEM, at=clock.now())


async def test_an_update_changes_what_it_names_alone(database, scope, clock):
    made = await make.plan(scope, clock, description="For teams", metadata={"a": "1"})
    clock.at += timedelta(hours=1)
    after = await actions.update(scope, made.id, {"metadata": None}, by=SYSTEM, at=clock.now())
    assert (after.description, after.metadata) == ("For teams", {})
    assert (await changes(scope, made.id))[1]["metadata"] == {}
    async with refused(scope, Invalid, "REQUIRED", "name"):
        await actions.update(scope, made.id, {"name": None}, by=SYSTEM, at=clock.now())


async def test_an_archived_plan_changes_only_by_being_restored(database, scope, clock):
    made = await make.plan(scope, clock)
    async with refused(scope, NotArchived, "PLAN_NOT_ARCHIVED", "id"):
        await actions.restore(scope, made.id, by=SYSTEM, at=clock.now())
    archived = await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    assert (archived.status, archived.archived_at) == (PlanStatus.ARCHIVED, clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "id"):
        await actions.archive(scope, made.id, by=SYSTEM, at=clock.now())
    async with refused(scope, Archived, "PLAN_ARCHIVED", "id"):
        await actions.update(scope, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    assert await actions.restore(scope, made.id, by=SYSTEM, at=clock.now()) == made
    assert [name for name, _ in await told(scope, made.id)] == [
        "plan.created",
        "plan.archived",
        "plan.restored",
    ]


async def test_a_plan_of_another_scope_does_not_exist(database, scope, clock):
    made = await make.plan(scope, clock)
    stranger = Scope(scope.tenant_id, "env_01J00000000000000000000000")
    assert await reads.by_ids(stranger, [made.id]) == {}
    assert (await reads.page(stranger, PageRequest())).rows == []
    with pytest.raises(NotFound):
        await actions.update(stranger, made.id, {"name": "x"}, by=SYSTEM, at=clock.now())
    assert await reads.get(scope, made.id) == made
