"""Things of the catalogue with defaults, made by the real actions."""

from decimal import Decimal

from app.catalog.actions import (
    addons,
    coupons,
    features,
    groups,
    plan_versions,
    plans,
    price_units,
    prices,
    tax_rates,
)
from app.catalog.addon import CreateAddon
from app.catalog.coupon import CreateCoupon
from app.catalog.entitlement import CreateEntitlement
from app.catalog.entitlement_terms import Metered
from app.catalog.feature import CreateFeature, FeatureType
from app.catalog.group import CreateGroup, GroupKind
from app.catalog.plan import CreatePlan
from app.catalog.price import ChargeKind, CreatePrice
from app.catalog.price_unit import CreatePriceUnit
from app.catalog.prices import Flat, PerUnit
from app.catalog.tax_rate import CreateTaxRate
from app.kernel.ids import new_id
from app.kernel.scope import SYSTEM
from app.metering import actions as meters
from app.metering.aggregations import Sum
from app.metering.meter import CreateMeter
from app.subscriptions.actions import entitling


async def meter(scope, clock, **fields):
    defaults = {
        "name": "Calls",
        "event_name": "call",
        "aggregation": Sum(property="seconds"),
        "dimensions": ("region",),
    }
    command = CreateMeter(**defaults | fields)
    return await meters.create(scope, command, by=SYSTEM, at=clock.now())


async def feature(scope, clock, **fields):
    """Metered by a new meter, unless told otherwise."""
    defaults = {
        "name": "Call seconds",
        "lookup_key": new_id("feat"),
        "type": FeatureType.METERED,
    }
    wanted = defaults | fields
    if wanted["type"] is FeatureType.METERED and "meter_id" not in wanted:
        wanted["meter_id"] = (await meter(scope, clock)).id
    return await features.create(scope, CreateFeature(**wanted), by=SYSTEM, at=clock.now())


async def group(scope, clock, **fields):
    """Of features, unless told otherwise."""
    defaults = {"name": "Compute", "lookup_key": new_id("grp"), "kind": GroupKind.FEATURE}
    command = CreateGroup(**defaults | fields)
    return await groups.create(scope, command, by=SYSTEM, at=clock.now())


async def plan(scope, clock, **fields):
    command = CreatePlan(**{"name": "Pro", "lookup_key": new_id("plan")} | fields)
    return await plans.create(scope, command, by=SYSTEM, at=clock.now())


async def draft(scope, clock, plan_id):
    """The next version of the plan."""
    return await plan_versions.create(scope, plan_id, by=SYSTEM, at=clock.now())


async def publish(scope, clock, version_id):
    return await plan_versions.publish(scope, version_id, by=SYSTEM, at=clock.now())


async def addon(scope, clock, **fields):
    command = CreateAddon(**{"name": "Support", "lookup_key": new_id("addon")} | fields)
    return await addons.create(scope, command, by=SYSTEM, at=clock.now())


async def price_unit(scope, clock, **fields):
    """A credit worth a cent, unless told otherwise."""
    defaults = {
        "code": "CRD",
        "name": "Credits",
        "base_currency": "USD",
        "conversion_rate": Decimal("0.01"),
    }
    command = CreatePriceUnit(**defaults | fields)
    return await price_units.create(scope, command, by=SYSTEM, at=clock.now())


async def price(scope, clock, plan_id=None, **fields):
    """A fixed 99 USD a month, unless told otherwise."""
    defaults = {
        "plan_id": plan_id,
        "display_name": "Platform fee",
        "charge": ChargeKind.FIXED,
        "model": Flat(Decimal(99)),
        "currency": "USD",
    }
    command = CreatePrice(**defaults | fields)
    return await prices.create(scope, command, by=SYSTEM, at=clock.now())


async def usage_price(scope, clock, plan_id=None, **fields):
    """0.5 USD for every unit of a new metered feature, unless told otherwise."""
    defaults = {
        "display_name": "Calls",
        "charge": ChargeKind.USAGE,
        "model": PerUnit(Decimal("0.5")),
    }
    wanted = defaults | fields
    if "feature_id" not in wanted:
        wanted["feature_id"] = (await feature(scope, clock)).id
    return await price(scope, clock, plan_id, **wanted)


async def entitlement(scope, clock, plan_id=None, **fields):
    """100 units a month of a new metered feature, unless told otherwise."""
    if "feature_id" not in fields:
        fields["feature_id"] = (await feature(scope, clock)).id
    defaults = {"plan_id": plan_id, "terms": Metered(Decimal(100))}
    command = CreateEntitlement(**defaults | fields)
    return await entitling.create(scope, command, by=SYSTEM, at=clock.now())


async def override(scope, clock, subscription_id, **fields):
    """What a subscription has for itself."""
    return await entitlement(scope, clock, subscription_id=subscription_id, **fields)


async def coupon(scope, clock, **fields):
    """10 % off one invoice, unless told otherwise."""
    value = {} if "amount_off" in fields else {"percent_off": Decimal(10)}
    command = CreateCoupon(**{"name": "Welcome", "code": new_id("cpn")} | value | fields)
    return await coupons.create(scope, command, by=SYSTEM, at=clock.now())


async def tax_rate(scope, clock, **fields):
    """19 % on top, unless told otherwise."""
    value = {} if "amount" in fields else {"percent": Decimal(19)}
    defaults = {"name": "VAT", "code": new_id("txr"), "inclusive": False}
    command = CreateTaxRate(**defaults | value | fields)
    return await tax_rates.create(scope, command, by=SYSTEM, at=clock.now())
