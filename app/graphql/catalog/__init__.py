"""Groups, features, plans and their versions, addons, prices and entitlements in the graph."""

from app.graphql.catalog import (
    addons,
    entitlements,
    features,
    groups,
    plan_versions,
    plans,
    prices,
)

KINDS = (
    *groups.KINDS,
    *features.KINDS,
    *plans.KINDS,
    *plan_versions.KINDS,
    *addons.KINDS,
    *prices.KINDS,
    *entitlements.KINDS,
)
QUERIES = (
    groups.GroupQuery,
    features.FeatureQuery,
    plans.PlanQuery,
    plan_versions.PlanVersionQuery,
    addons.AddonQuery,
    prices.PriceQuery,
    entitlements.EntitlementQuery,
)
MUTATIONS = (
    groups.GroupMutation,
    features.FeatureMutation,
    plans.PlanMutation,
    plan_versions.PlanVersionMutation,
    addons.AddonMutation,
    prices.PriceMutation,
    entitlements.EntitlementMutation,
)
TYPES = (
    groups.Group,
    features.Feature,
    plans.Plan,
    plan_versions.PlanVersion,
    addons.Addon,
    prices.Price,
    entitlements.Entitlement,
)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
