"""Features, plans and prices in the graph."""

from app.graphql.catalog import features, plans, prices

KINDS = (*features.KINDS, *plans.KINDS, *prices.KINDS)
QUERIES = (features.FeatureQuery, plans.PlanQuery, prices.PriceQuery)
MUTATIONS = (features.FeatureMutation, plans.PlanMutation, prices.PriceMutation)
TYPES = (features.Feature, plans.Plan, prices.Price)

__all__ = ["KINDS", "MUTATIONS", "QUERIES", "TYPES"]
