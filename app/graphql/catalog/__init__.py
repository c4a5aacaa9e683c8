"""Groups, features, plans and their versions, addons, prices, entitlements, coupons and tax rates
in the graph."""

from app.graphql.catalog import (
    addons,
    coupons,
    entitlements,
    features,
    groups,
    plan_versions,
    plans,
    prices,
    tax_rates,
)

KINDS = (
    *groups.KINDS,
    *features.KINDS,
    *plans.KINDS,
    *plan_versions.KINDS,
    *addons.KINDS,
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
    prices.Price,
    entitlements.Entitlement,
    coupons.Coupon,
    tax_rates.TaxRate,
)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
