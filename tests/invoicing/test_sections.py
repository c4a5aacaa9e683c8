"""What lines stand under, and the terms that an invoice takes over from its subscription."""

from datetime import timedelta

import pytest

from app.catalog.actions import groups, plans, prices
from app.catalog.group import CreateGroup, GroupKind
from app.catalog.reads import prices as price_reads
from app.invoicing import actions, reads
from app.invoicing.actions.headings import headings_of, titled
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.manual import Edits
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.subscriptions.subscription import PaymentTerms
from tests.invoicing.make import subscription
from tests.invoicing.test_billing import FEB, draft_due, invoices
from tests.invoicing.test_by_hand import TRAINING
from tests.invoicing.test_lifecycle import draft, finalize_one
from tests.invoicing.test_pdf import words_of
from tests.invoicing.world import JAN, pdf_of, set_up
from tests.statements import statements


async def cycle(world, **fields):
    await world.subscribe("acme", **fields)
    await world.use("acme", [(JAN, "120", "eu")])
    await draft_due(world, FEB)
    return (await invoices(world))[-1]


async def test_lines_stand_under_the_plan_of_their_subscription_as_it_was_called(world):
    await set_up(world, documents={"sections": "subscription"})
    made = await cycle(world)
    made = await actions.edit(
        world.scope, made.id, Edits(add=[TRAINING, replace(TRAINING, section=None)]), by=SYSTEM,
        at=FEB,
    )  # fmt: skip
    issued = await finalize_one(world, made, at=FEB)
    assert set(issued.presentation.headings.values()) == {"Pro"}
    await plans.update(world.scope, world.plan_id, {"name": "Renamed"}, by=SYSTEM, at=FEB)
    text = words_of(await pdf_of(world, issued.id))
    # 20 + 50 + 3 + 2 + 0.12; what was written by hand stands apart.
    for part in ("Pro $75.12", "Services $150.00", "Other charges $150.00"):
        assert part in text, part
    assert "Renamed" not in text
    waiting = await draft(world, "beta")
    assert "Renamed $20.00" in words_of(await pdf_of(world, waiting.id))


async def test_lines_stand_under_the_group_of_their_price_or_else_of_their_kind(world):
    await set_up(world, documents={"sections": "group"})
    command = CreateGroup(name="Infrastructure", lookup_key="infra", kind=GroupKind.PRICE)
    group = await groups.create(world.scope, command, by=SYSTEM, at=JAN)
    sold = (await price_reads.offered_of_plans(world.scope, [world.plan_id]))[world.plan_id]
    for each in sold:
        if each.display_name == "Traffic":
            patch = {"group_id": group.id}
            await prices.update(world.scope, each.id, patch, by=SYSTEM, at=JAN)
    issued = await finalize_one(world, await cycle(world), at=FEB)
    text = words_of(await pdf_of(world, issued.id))
    for part in ("Fees $20.00", "Usage $55.00", "Infrastructure $0.12"):
        assert part in text, part


def test_subscriptions_to_one_plan_are_numbered_by_their_start():
    early, late, other = (
        subscription(
            id=new_id("sub"), customer_id="cus_1", plan_id=plan,
            starts_at=JAN + timedelta(days=day),
        )
        for plan, day in (("plan_1", 0), ("plan_1", 9), ("plan_2", 3))
    )  # fmt: skip
    held = {each.id: each for each in (late, other, early)}
    assert titled(held, {"plan_1": "Pro", "plan_2": "Extra"}) == {
        early.id: "Pro (1)", late.id: "Pro (2)", other.id: "Extra",
    }  # fmt: skip
    held[late.id] = replace(late, customer_id="cus_2")
    assert titled(held, {"plan_1": "Pro"}, customers={"cus_1": "Acme", "cus_2": "Beta"}) == {
        early.id: "Acme: Pro", late.id: "Beta: Pro", other.id: "Acme: plan_2",
    }  # fmt: skip


@pytest.mark.parametrize("sections", ["kind", "subscription", "group"])
async def test_headings_cost_the_same_statements_however_many_invoices(world, sections):
    seen = []
    for names in (["acme"], ["beta", "gamma", "delta"]):
        made = [await draft(world, name) for name in names]

        async def look(made=made):
            await headings_of(world.scope, made, sections)

        seen.append(len(await statements(world.scope, look)))
    assert seen[0] == seen[1] <= 4
    assert (seen[0] == 0) == (sections == "kind")


async def test_an_invoice_takes_over_the_terms_of_its_subscription(world):
    terms = PaymentTerms(net_days=7, purchase_order="PO 4711")
    made = await cycle(world, terms=terms)
    assert (made.net_days, made.purchase_order) == (7, "PO 4711")
    issued = await finalize_one(world, made, at=FEB)
    assert issued.due_at == FEB + timedelta(days=7)
    assert "PO 4711" in words_of(await pdf_of(world, issued.id))
    again = await actions.reissue(
        world.scope, issued.id, world.services.clickhouse, reason="x", by=SYSTEM, at=FEB
    )
    assert (again.net_days, again.purchase_order) == (7, "PO 4711")


async def test_what_somebody_says_on_a_draft_goes_before_the_terms(world):
    made = await cycle(world, terms=PaymentTerms(net_days=7))
    due = FEB + timedelta(days=20)
    made = await actions.edit(
        world.scope, made.id, Edits({"due_at": due, "purchase_order": "PO 1"}), by=SYSTEM, at=FEB
    )
    issued = await finalize_one(world, made, at=FEB)
    assert (issued.due_at, issued.purchase_order) == (due, "PO 1")
    assert (await reads.get(world.scope, issued.id)).status is InvoiceStatus.FINALIZED
