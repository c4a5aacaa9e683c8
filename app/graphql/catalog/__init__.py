"""Groups, features, plans and prices in the graph."""

from app.graphql.catalog import features, groups, plans, prices

KINDS = (*groups.KINDS, *features.KINDS, *plans.KINDS, *prices.KINDS)
QUERIES = (groups.GroupQuery, features.FeatureQuery, plans.PlanQuery, prices.PriceQuery)
MUTATIONS = (
    groups.GroupMutation,
    features.FeatureMutation,
    plans.PlanMutation,
    prices.PriceMutation,
)
TYPES = (groups.Group, features.Feature, plans.Plan, prices.Price)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
