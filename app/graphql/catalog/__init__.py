"""Groups, features, plans, prices and entitlements in the graph."""

from app.graphql.catalog import entitlements, features, groups, plans, prices

KINDS = (*groups.KINDS, *features.KINDS, *plans.KINDS, *prices.KINDS, *entitlements.KINDS)
QUERIES = (
    groups.GroupQuery,
    features.FeatureQuery,
    plans.PlanQuery,
    prices.PriceQuery,
    entitlements.EntitlementQuery,
)
MUTATIONS = (
    groups.GroupMutation,
    features.FeatureMutation,
    plans.PlanMutation,
    prices.PriceMutation,
    entitlements.EntitlementMutation,
)
TYPES = (groups.Group, features.Feature, plans.Plan, prices.Price, entitlements.Entitlement)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
