"""Addons that are bought with a subscription, through the graph."""

from decimal import Decimal

from app.catalog.entitlement_terms import Static
from app.catalog.feature import FeatureType
from app.catalog.price import ChargeKind, InvoiceTiming
from app.invoicing.actions import subscribe
from app.kernel.scope import SYSTEM
from app.subscriptions.change import AttachAddon
from app.subscriptions.subscription import CreateSubscription
from tests.catalog import make as catalog
from tests.invoicing.changing import plan, run
from tests.invoicing.test_addons import addon
from tests.invoicing.test_billing import everything, invoices, lines
from tests.invoicing.world import JAN
from tests.statements import statements

CREATE = """mutation ($input: SubscriptionCreateInput!) { subscriptionCreate(input: $input) {
  ... on Subscription { id lineItems { quantity price { displayName } } }
  ... on Problem { code field } } }"""
PREVIEW = """query ($input: SubscriptionCreateInput) { invoicePreview(subscription: $input) {
  ... on InvoicePreview { total { amount } lines { description amount { amount } } }
  ... on Problem { code field } } }"""
ACCESS = """query ($customer: ID!) { access(customerId: $customer, features: ["support"]) {
  features { key allowed value sources { owner quantity } } } }"""


async def test_addons_are_bought_with_a_subscription(ask_of_world, world):
    """All of them or nothing, as previewed, with what they give and what they cost."""
    world.clock.at = JAN
    plan_id, _ = await plan(world, "Team", "10")
    support, seats = await addon(world, {}), await addon(world, {"display_name": "Desks"})
    feature = await catalog.feature(
        world.scope, world.clock, lookup_key="support", type=FeatureType.STATIC
    )
    await catalog.entitlement(
        world.scope, world.clock, addon_id=support, feature_id=feature.id, terms=Static("gold")
    )
    customer = await world.customer("acme")
    wanted = [{"addonId": support, "quantity": "3"}, {"addonId": seats}]
    given = {"customerId": customer.id, "planId": plan_id, "addons": wanted}
    nothing = [wanted[0], {"addonId": seats, "quantity": "0"}]
    before = await everything(world)
    for fields, code, field in [
        ({"addons": [wanted[0], {"addonId": "addon_0"}]}, "NOT_FOUND", "addons[1].addonId"),
        ({"addons": nothing}, "NOT_POSITIVE", "addons[1].quantity"),
        ({"draft": True}, "SUBSCRIPTION_DRAFT", "addons"),
    ]:
        refused = {"code": code, "field": field}
        asked = {"input": given | fields}
        assert (await ask_of_world(CREATE, asked))["subscriptionCreate"] == refused
        assert (await ask_of_world(PREVIEW, asked))["invoicePreview"] == refused
    seen = (await ask_of_world(PREVIEW, {"input": given}))["invoicePreview"]
    assert await everything(world) == before

    made = (await ask_of_world(CREATE, {"input": given}))["subscriptionCreate"]
    assert made["lineItems"] == [
        {"quantity": quantity, "price": {"displayName": name}}
        for quantity, name in (("1", "Team seats"), ("3", "Support"), ("1", "Desks"))
    ]
    await run(world, JAN)
    (invoice,) = await invoices(world)
    assert Decimal(seen["total"]["amount"]) == invoice.totals.total == 10 + 3 * 8 + 8
    assert [(x["description"], Decimal(x["amount"]["amount"])) for x in seen["lines"]] == [
        (line.description, line.amount) for line in await lines(world, invoice)
    ]
    (access,) = (await ask_of_world(ACCESS, {"customer": customer.id}))["access"]["features"]
    assert access == {
        "key": "support",
        "allowed": True,
        "value": "gold",
        "sources": [{"owner": "ADDON", "quantity": "3"}],
    }


async def test_more_addons_are_not_more_statements(world):
    plan_id, _ = await plan(world, "Team", "10")
    sold = [await addon(world, {}, {"timing": InvoiceTiming.ARREARS}) for _ in range(4)]
    usage = await catalog.feature(world.scope, world.clock)
    fields = {
        "charge": ChargeKind.USAGE, "timing": InvoiceTiming.ARREARS, "feature_id": usage.id,
    }  # fmt: skip
    sold.append(await addon(world, fields))
    customer = await world.customer("acme")
    command = CreateSubscription(customer_id=customer.id, plan_id=plan_id)

    async def count(*ids):
        bought = tuple(AttachAddon(addon_id=each) for each in ids)
        how = {"by": SYSTEM, "at": JAN, "addons": bought}
        return len(await statements(world.scope, lambda: subscribe(world.scope, command, **how)))

    assert await count(*sold) == await count(sold[0])
