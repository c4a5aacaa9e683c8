"""The graph: one schema out of the domains' parts."""

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import get_object_definition

from app.graphql import (
    access,
    branding,
    catalog,
    credit_notes,
    customers,
    event_corrections,
    events,
    invoice_corrections,
    invoice_preview_queries,
    invoice_replays,
    invoicing,
    metering,
    plan_migrations,
    quotes,
    subscription_changes,
    subscriptions,
    tenants,
    terms,
    test_clocks,
    usage,
    usage_events,
    usage_updates,
)
from app.graphql.errors import HANDLERS
from app.graphql.node import node_query
from app.graphql.permissions import ShownOnce
from app.graphql.scalars import SCALARS

KINDS = (
    *tenants.KINDS,
    *test_clocks.KINDS,
    *customers.KINDS,
    *metering.KINDS,
    *catalog.KINDS,
    *subscriptions.KINDS,
    *subscription_changes.KINDS,
    *plan_migrations.KINDS,
    *invoicing.KINDS,
    *invoice_corrections.KINDS,
    *credit_notes.KINDS,
    *terms.KINDS,
)
QUERIES = (
    node_query(KINDS),
    *tenants.QUERIES,
    test_clocks.TestClockQuery,
    customers.CustomerQuery,
    metering.MeterQuery,
    usage.UsageQuery,
    usage_events.UsageEventsQuery,
    events.EventQuery,
    *catalog.QUERIES,
    quotes.QuoteQuery,
    subscriptions.SubscriptionQuery,
    subscription_changes.SubscriptionChangeQuery,
    plan_migrations.PlanMigrationQuery,
    access.AccessQuery,
    invoicing.InvoiceQuery,
    invoice_preview_queries.InvoicePreviewQuery,
    invoice_replays.InvoiceReplayQuery,
    invoice_corrections.InvoiceCorrectionQuery,
    credit_notes.CreditNoteQuery,
    *terms.QUERIES,
)
MUTATIONS = (
    *tenants.MUTATIONS,
    test_clocks.TestClockMutation,
    customers.CustomerMutation,
    metering.MeterMutation,
    event_corrections.EventMutation,
    *catalog.MUTATIONS,
    subscriptions.SubscriptionMutation,
    subscription_changes.SubscriptionChangeMutation,
    plan_migrations.PlanMigrationMutation,
    invoicing.InvoiceMutation,
    invoice_corrections.InvoiceCorrectionMutation,
    credit_notes.CreditNoteMutation,
    *terms.MUTATIONS,
    branding.BrandingMutation,
)
SUBSCRIPTIONS = (usage_updates.UsageSubscription,)
# Types that implement an interface and are reached through nothing else.
TYPES: tuple[type, ...] = (
    *tenants.TYPES,
    test_clocks.TestClock,
    customers.Customer,
    metering.Meter,
    *catalog.TYPES,
    *subscriptions.TYPES,
    *subscription_changes.TYPES,
    *plan_migrations.TYPES,
    *invoicing.TYPES,
    *invoice_corrections.TYPES,
    *credit_notes.TYPES,
    *terms.TYPES,
)


class Schema(strawberry.Schema):
    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Log nothing here: `public_errors` logs what is a bug, and only that."""


schema = Schema(
    query=merge_types("Query", QUERIES),
    mutation=merge_types("Mutation", MUTATIONS),
    # `Subscription` is what customers have.
    subscription=merge_types("SubscriptionRoot", SUBSCRIPTIONS),
    types=TYPES,
    config=StrawberryConfig(scalar_map=SCALARS),
    exception_handlers=HANDLERS,
)

# Mutations whose answers must not be kept for repetitions of a request.
SHOWN_ONCE = frozenset(
    schema.config.name_converter.get_graphql_name(field)
    for part in MUTATIONS
    for field in get_object_definition(part, strict=True).fields
    if any(isinstance(extension, ShownOnce) for extension in field.extensions)
)


def sdl() -> str:
    """The schema as schema.graphql holds it."""
    return schema.as_str() + "\n"
