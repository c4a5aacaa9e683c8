"""Who may have which parent, who pays, and what a family may use together."""

import asyncio
from datetime import timedelta

import pytest

from app.customers import reads as customers
from app.customers.customer import CreateCustomer
from app.infra.postgres import fetch
from app.kernel.errors import TariffError
from app.kernel.scope import SYSTEM
from app.subscriptions import actions, reads
from app.subscriptions.subscription import PaymentTerms
from tests.clocks import make as clock_make
from tests.subscriptions import make


async def member(scope, clock, name, parent=None, **fields):
    command = CreateCustomer(
        external_id=name, name=name, parent_id=parent and parent.id, currency="USD", **fields
    )
    return await actions.create_customer(scope, command, by=SYSTEM, at=clock.now())


async def change(scope, clock, customer, **patch):
    return await actions.update_customer(scope, customer.id, patch, by=SYSTEM, at=clock.now())


async def refused(code, awaited):
    with pytest.raises(TariffError) as error:
        await awaited
    assert error.value.code == code


async def memberships(scope):
    rows = await fetch(scope, "SELECT * FROM customer_memberships ORDER BY id")
    return [(row["parent_id"], row["customer_id"], row["ends_at"]) for row in rows]


async def test_a_family_has_one_level_and_a_parent_in_use(database, scope, clock):
    top, side = await member(scope, clock, "top"), await member(scope, clock, "side")
    eu = await member(scope, clock, "eu", top, parent_pays=True)
    assert (eu.parent_id, eu.parent_pays, eu.inherits) == (top.id, True, True)
    before = await fetch(scope, "SELECT * FROM customers ORDER BY id")
    for code, patch in (
        ("INVALID_PARENT_ID", (top, top.id)),
        ("NOT_FOUND", (side, "cus_01J00000000000000000000000")),
        ("HIERARCHY_TOO_DEEP", (side, eu.id)),
        ("HIERARCHY_TOO_DEEP", (top, side.id)),
        ("PARENT_REQUIRED", (eu, None)),
    ):
        await refused(code, change(scope, clock, patch[0], parent_id=patch[1]))
    await refused("PARENT_REQUIRED", change(scope, clock, side, parent_pays=True))
    await refused("CUSTOMER_HAS_CHILDREN", actions.archive_customer(
        scope, top.id, by=SYSTEM, at=clock.now()))  # fmt: skip
    await refused("PARENT_REQUIRED", make.subscription(
        scope, clock, customer_id=side.id, terms=PaymentTerms(parent_pays=True)))  # fmt: skip
    assert await fetch(scope, "SELECT * FROM customers ORDER BY id") == before
    bought = await make.subscription(
        scope, clock, customer_id=eu.id, terms=PaymentTerms(parent_pays=True)
    )
    assert await reads.payers_of(scope, [bought]) == {bought.id: top.id}
    leave = {"parent_id": None, "parent_pays": False}
    await refused("PARENT_PAYS", change(scope, clock, eu, **leave))
    await actions.update(scope, bought.id, {"parent_pays": False}, by=SYSTEM, at=clock.now())
    left = await change(scope, clock, eu, **leave)
    assert left.parent_id is None
    assert await memberships(scope) == [(top.id, eu.id, clock.now())]
    await actions.archive_customer(scope, top.id, by=SYSTEM, at=clock.now())
    await refused("CUSTOMER_ARCHIVED", change(scope, clock, eu, parent_id=top.id))


async def test_who_is_archived_leaves_the_family_until_restored(database, scope, clock):
    top = await member(scope, clock, "top")
    eu = await member(scope, clock, "eu", top)
    now = {"by": SYSTEM, "at": clock.now()}
    await actions.archive_customer(scope, eu.id, **now)
    assert await memberships(scope) == [(top.id, eu.id, clock.now())]
    await actions.restore_customer(scope, eu.id, **now)
    assert [ends_at for *_, ends_at in await memberships(scope)] == [clock.now(), None]
    await change(scope, clock, eu, inherits=False)
    assert None not in [ends_at for *_, ends_at in await memberships(scope)]
    actions_of = await fetch(scope, "SELECT action FROM audit_entries WHERE entity_id = $1", eu.id)
    assert [row["action"] for row in actions_of].count("customer.update") == 1


async def test_of_two_who_become_each_others_parents_one_is_refused(database, scope, clock):
    one, other = await member(scope, clock, "one"), await member(scope, clock, "other")
    found = await asyncio.gather(
        change(scope, clock, one, parent_id=other.id),
        change(scope, clock, other, parent_id=one.id),
        return_exceptions=True,
    )
    assert [getattr(each, "code", None) for each in found].count("HIERARCHY_TOO_DEEP") == 1
    rows = await customers.by_ids(scope, [one.id, other.id])
    assert sorted(row.parent_id is None for row in rows.values()) == [False, True]


async def test_a_child_lives_in_the_present_of_its_parent(database, clock):
    scope = await clock_make.development()
    top = await member(scope, clock, "top")
    how = {"by": SYSTEM, "at": clock.now()}
    other = await clock_make.clock(scope)
    await refused("PARENT_ON_OTHER_CLOCK", member(scope, clock, "a", top, test_clock_id=other.id))
    head = await member(scope, clock, "head", test_clock_id=other.id)
    eu = await member(scope, clock, "eu", head)
    rows = await fetch(scope, "SELECT owner_id, clock_id FROM clock_members")
    assert {row["owner_id"]: row["clock_id"] for row in rows} == {
        head.id: other.id, eu.id: other.id,
    }  # fmt: skip
    await refused("PARENT_ON_OTHER_CLOCK", change(scope, clock, eu, parent_id=top.id))
    await refused("CUSTOMER_IN_USE", actions.move_customer(scope, eu.id, None, **how))
    await refused("CUSTOMER_HAS_CHILDREN", actions.move_customer(scope, head.id, None, **how))


async def test_what_is_being_billed_of_a_family_is_read_again_when_it_changes(
    database, scope, clock
):
    top = await member(scope, clock, "top")
    plan = await make.plan(scope, clock)
    family = await make.subscription(
        scope, clock, customer_id=top.id, plan_id=plan.id, family_usage=True,
        starts_at=clock.now() - timedelta(days=40),
    )  # fmt: skip
    alone = await make.subscription(scope, clock, customer_id=top.id, plan_id=plan.id)
    await make.bill(scope, [family.id], clock.now())
    billed = await reads.get(scope, family.id)
    eu = await member(scope, clock, "eu", top)
    after = await reads.by_ids(scope, [family.id, alone.id])
    assert after[family.id].revision == billed.revision + 1
    assert after[alone.id].revision == alone.revision
    # Nothing billed changes, and nothing that was sent before it was created is lost.
    (joined,) = (await customers.memberships_of(scope, [top.id]))[top.id]
    assert (joined.customer_id, joined.starts_at) == (eu.id, billed.billed_until)
    await change(scope, clock, eu, name="EU")
    assert (await reads.get(scope, family.id)).revision == billed.revision + 1
