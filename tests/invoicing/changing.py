"""Plans to change between, and the verbs of changes with defaults."""

from decimal import Decimal

from app.catalog.actions import plans, prices
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice, InvoiceTiming
from app.catalog.prices import PerUnit
from app.catalog.reads import features
from app.invoicing import actions, billing, credit_reads
from app.kernel.ids import ulid
from app.kernel.listing import PageRequest
from app.kernel.scope import SYSTEM
from app.subscriptions import reads
from app.subscriptions.actions import RequestChange
from app.subscriptions.change import ChangePlan, ChangeQuantity, Proration, Timing
from app.subscriptions.subscription import Held
from tests.invoicing.test_billing import invoices, lines
from tests.invoicing.world import JAN


async def plan(world, name, *fees, usage=None, at=JAN, **fields):
    """A plan of seats: each fee is a price per seat and month in advance, unless `fields` say
    otherwise; `usage` a price per request in arrears."""
    how = {"by": SYSTEM, "at": at}
    made = await plans.create(world.scope, CreatePlan(name=name, lookup_key=ulid()), **how)
    sold = [
        CreatePrice(
            **{
                "plan_id": made.id,
                "display_name": f"{name} seats",
                "charge": ChargeKind.FIXED,
                "model": PerUnit(Decimal(fee)),
                "currency": "USD",
                "timing": InvoiceTiming.ADVANCE,
                **fields,
            }
        )
        for fee in fees
    ]
    if usage is not None:
        measured = (await features.by_lookup_keys(world.scope, ["requests"]))["requests"]
        sold.append(
            CreatePrice(
                plan_id=made.id,
                display_name=f"{name} requests",
                charge=ChargeKind.USAGE,
                model=PerUnit(Decimal(usage)),
                currency="USD",
                feature_id=measured.id,
            )
        )
    return made.id, [(await prices.create(world.scope, price, **how)).id for price in sold]


async def seats(world, name, plan_id, price_id, quantity, **fields):
    """A subscription that holds so many seats."""
    held = (Held(price_id, Decimal(quantity)),)
    return await world.subscribe(name, plan_id=plan_id, quantities=held, **fields)


async def ask(world, subscription, what, *, proration="create_prorations", **timing):
    wanted = RequestChange(
        subscription_id=subscription.id,
        what=what,
        timing=Timing(**timing),
        proration=Proration(proration),
    )
    now = world.clock.now()
    return await actions.change(world.scope, wanted, world.services.clickhouse, by=SYSTEM, at=now)


async def hold(world, subscription, quantity, *, line=None, **how):
    """Another quantity of the first line, or of the one named."""
    line = line or (await items(world, subscription))[0].id
    what = ChangeQuantity(line_item_id=line, quantity=Decimal(quantity))
    return await ask(world, subscription, what, **how)


async def go_to(world, subscription, plan_id, *, quantities=(), **how):
    return await ask(world, subscription, ChangePlan(plan_id=plan_id, quantities=quantities), **how)


async def run(world, at):
    """Everything that a run does, in its order."""
    world.clock.at = at
    for step in (
        billing.change_page,
        billing.bill_page,
        billing.finalize_page,
        billing.credit_page,
    ):
        done = await step(world.services, world.page())
        assert done.tally["failed"] == 0


async def items(world, subscription):
    return (await reads.line_items(world.scope, [subscription.id]))[subscription.id]


async def changes(world, subscription):
    found = await reads.pages_of_changes(world.scope, [subscription.id], PageRequest())
    return found[subscription.id].rows


async def asked(world):
    """Every invoice: its reason and its lines' amounts, by service."""
    return [
        (
            invoice.reason.value,
            [(line.description, line.service, line.amount) for line in await lines(world, invoice)],
        )
        for invoice in await invoices(world)
    ]


async def notes(world, subscription):
    """Every credit note of the subscription, the oldest first."""
    ids = [i.id for i in await invoices(world) if i.subscription_id == subscription.id]
    found = await credit_reads.of_invoices(world.scope, ids)
    return sorted((note for each in found.values() for note in each), key=lambda note: note.id)
