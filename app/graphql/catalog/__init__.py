"""Everything that is sold, in the graph: one file per noun."""

from app.graphql.catalog import (
    addons,
    coupons,
    entitlements,
    features,
    groups,
    plan_versions,
    plans,
    price_units,
    prices,
    tax_rates,
)

KINDS = (
    *groups.KINDS,
    *features.KINDS,
    *plans.KINDS,
    *plan_versions.KINDS,
    *addons.KINDS,
    *price_units.KINDS,
    *prices.KINDS,
    *entitlements.KINDS,
    *coupons.KINDS,
    *tax_rates.KINDS,
)
QUERIES = (
    groups.GroupQuery,
    features.FeatureQuery,
    plans.PlanQuery,
    plan_versions.PlanVersionQuery,
    addons.AddonQuery,
    price_units.PriceUnitQuery,
    prices.PriceQuery,
    entitlements.EntitlementQuery,
    coupons.CouponQuery,
    tax_rates.TaxRateQuery,
)
MUTATIONS = (
    groups.GroupMutation,
    features.FeatureMutation,
    plans.PlanMutation,
    plan_versions.PlanVersionMutation,
    addons.AddonMutation,
    price_units.PriceUnitMutation,
    prices.PriceMutation,
    entitlements.EntitlementMutation,
    coupons.CouponMutation,
    tax_rates.TaxRateMutation,
)
TYPES = (
    groups.Group,
    features.Feature,
    plans.Plan,
    plan_versions.PlanVersion,
    addons.Addon,
    price_units.PriceUnit,
    prices.Price,
    entitlements.Entitlement,
    coupons.Coupon,
    tax_rates.TaxRate,
)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
