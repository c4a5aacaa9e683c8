"""Batches reads within a request, remembers them, and pins them to the caller's scope.

A loader wraps a batch read of a domain, `(scope, keys) -> {key: row}`. A new one is one
property of `Loaders`.
"""

from collections.abc import Collection, Mapping
from functools import cached_property

from strawberry.dataloader import DataLoader

from app.catalog.addon import Addon
from app.catalog.coupon import Coupon
from app.catalog.entitlement import Entitlement, OwnerKind
from app.catalog.feature import Feature
from app.catalog.group import Group
from app.catalog.plan import Plan
from app.catalog.plan_version import PlanVersion
from app.catalog.price import Price
from app.catalog.price_unit import PriceUnit
from app.catalog.reads import (
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
from app.catalog.tax_rate import TaxRate
from app.clocks import reads as clocks
from app.clocks.test_clock import TestClock
from app.customers import reads as customers
from app.customers.customer import Customer
from app.customers.family import Membership
from app.graphql.batching import PageKey, many, one, paged, required
from app.graphql.term_loaders import TermLoaders
from app.infra.clickhouse import ClickHouse
from app.invoicing import correction_reads as corrections
from app.invoicing import credit_reads as credit_notes
from app.invoicing import reads as invoices
from app.invoicing.correction import Correction, CorrectionApplied
from app.invoicing.credit_note import Application, CreditNote, CreditNoteLine
from app.invoicing.invoice import Invoice, InvoiceLine, Settlement
from app.kernel.listing import Page
from app.kernel.scope import Scope
from app.metering import event_versions
from app.metering import reads as meters
from app.metering.event_versions import StoredEvent
from app.metering.meter import Meter
from app.subscriptions import migration_reads
from app.subscriptions import reads as subscriptions
from app.subscriptions.change import SubscriptionChange
from app.subscriptions.entitlements import Entitled
from app.subscriptions.holding import Holding
from app.subscriptions.migration import MigrationItem, PlanMigration
from app.subscriptions.pause import Pause
from app.subscriptions.subscription import LineItem, Subscription
from app.tenants.api_key import ApiKey
from app.tenants.reads import (
    api_keys,
    audit_entries,
    environments,
    roles,
    service_accounts,
    users,
)
from app.tenants.reads.audit_entries import AuditEntry
from app.tenants.role import Role
from app.tenants.tenant import Environment
from app.tenants.user import ServiceAccount, User


class Loaders(TermLoaders):
    """One per request; each loader is made when a resolver first asks for it."""

    def __init__(self, scope: Scope, clickhouse: ClickHouse) -> None:
        self.scope, self.clickhouse = scope, clickhouse

    @cached_property
    def customer(self) -> DataLoader[str, Customer | None]:
        return one(customers.by_ids, self.scope)

    @cached_property
    def customer_by_external_id(self) -> DataLoader[str, Customer | None]:
        return one(customers.by_external_ids, self.scope)

    @cached_property
    def children_of_customer(self) -> DataLoader[PageKey, Page[Customer]]:
        return paged(customers.pages_of_parents, self.scope)

    @cached_property
    def memberships_of_parent(self) -> DataLoader[str, list[Membership]]:
        return many(customers.memberships_of, self.scope)

    @cached_property
    def payer_of_subscription(self) -> DataLoader[str, str | None]:
        return one(subscriptions.payers_by_ids, self.scope)

    @cached_property
    def customers_of_test_clock(self) -> DataLoader[PageKey, Page[Customer]]:
        return paged(customers.pages_of_clocks, self.scope)

    @cached_property
    def test_clock(self) -> DataLoader[str, TestClock | None]:
        return one(clocks.by_ids, self.scope)

    @cached_property
    def test_clock_of_customer(self) -> DataLoader[str, TestClock | None]:
        return one(clocks.of_customers, self.scope)

    @cached_property
    def meter(self) -> DataLoader[str, Meter | None]:
        return one(meters.by_ids, self.scope)

    @cached_property
    def event_versions(self) -> DataLoader[str, list[StoredEvent]]:
        async def read(scope: Scope, ids: Collection[str]) -> Mapping[str, list[StoredEvent]]:
            return await event_versions.by_event(scope, self.clickhouse, ids)

        return many(read, self.scope)

    @cached_property
    def feature(self) -> DataLoader[str, Feature | None]:
        return one(features.by_ids, self.scope)

    @cached_property
    def feature_by_lookup_key(self) -> DataLoader[str, Feature | None]:
        return one(features.by_lookup_keys, self.scope)

    @cached_property
    def features_of_group(self) -> DataLoader[PageKey, Page[Feature]]:
        return paged(features.pages_of_groups, self.scope)

    @cached_property
    def reporting_features_of_meter(self) -> DataLoader[str, list[Feature]]:
        return many(features.reporting_of_meters, self.scope)

    @cached_property
    def group(self) -> DataLoader[str, Group | None]:
        return one(groups.by_ids, self.scope)

    @cached_property
    def group_by_lookup_key(self) -> DataLoader[str, Group | None]:
        return one(groups.by_lookup_keys, self.scope)

    @cached_property
    def plan(self) -> DataLoader[str, Plan | None]:
        return one(plans.by_ids, self.scope)

    @cached_property
    def plan_by_lookup_key(self) -> DataLoader[str, Plan | None]:
        return one(plans.by_lookup_keys, self.scope)

    @cached_property
    def plan_version(self) -> DataLoader[str, PlanVersion | None]:
        return one(plan_versions.by_ids, self.scope)

    @cached_property
    def current_version_of_plan(self) -> DataLoader[str, PlanVersion | None]:
        return one(plan_versions.current_of_plans, self.scope)

    @cached_property
    def versions_of_plan(self) -> DataLoader[PageKey, Page[PlanVersion]]:
        return paged(plan_versions.pages_of_plans, self.scope)

    @cached_property
    def addon(self) -> DataLoader[str, Addon | None]:
        return one(addons.by_ids, self.scope)

    @cached_property
    def addon_by_lookup_key(self) -> DataLoader[str, Addon | None]:
        return one(addons.by_lookup_keys, self.scope)

    @cached_property
    def price_unit(self) -> DataLoader[str, PriceUnit | None]:
        return one(price_units.by_ids, self.scope)

    @cached_property
    def price_unit_by_code(self) -> DataLoader[str, PriceUnit | None]:
        return one(price_units.by_codes, self.scope)

    @cached_property
    def price(self) -> DataLoader[str, Price | None]:
        return one(prices.by_ids, self.scope)

    @cached_property
    def price_by_lookup_key(self) -> DataLoader[str, Price | None]:
        return one(prices.by_lookup_keys, self.scope)

    @cached_property
    def prices_of_group(self) -> DataLoader[PageKey, Page[Price]]:
        return paged(prices.pages_of_groups, self.scope)

    @cached_property
    def prices_of_plan(self) -> DataLoader[str, list[Price]]:
        return many(prices.offered_of_plans, self.scope)

    @cached_property
    def prices_of_plan_version(self) -> DataLoader[str, list[Price]]:
        return many(prices.all_of_versions, self.scope)

    @cached_property
    def prices_of_addon(self) -> DataLoader[str, list[Price]]:
        return many(prices.all_of_addons, self.scope)

    @cached_property
    def entitlement(self) -> DataLoader[str, Entitlement | None]:
        return one(entitlements.by_ids, self.scope)

    @cached_property
    def entitlements_of_plan(self) -> DataLoader[str, list[Entitlement]]:
        return many(entitlements.offered_of_plans, self.scope)

    @cached_property
    def entitlements_of_plan_version(self) -> DataLoader[str, list[Entitlement]]:
        return many(entitlements.all_of(OwnerKind.PLAN), self.scope)

    @cached_property
    def entitlements_of_addon(self) -> DataLoader[str, list[Entitlement]]:
        return many(entitlements.all_of(OwnerKind.ADDON), self.scope)

    @cached_property
    def entitlements_of_subscription(self) -> DataLoader[str, list[Entitlement]]:
        return many(entitlements.all_of(OwnerKind.SUBSCRIPTION), self.scope)

    @cached_property
    def coupon(self) -> DataLoader[str, Coupon | None]:
        return one(coupons.by_ids, self.scope)

    @cached_property
    def coupon_by_code(self) -> DataLoader[str, Coupon | None]:
        return one(coupons.by_codes, self.scope)

    @cached_property
    def tax_rate(self) -> DataLoader[str, TaxRate | None]:
        return one(tax_rates.by_ids, self.scope)

    @cached_property
    def tax_rate_by_code(self) -> DataLoader[str, TaxRate | None]:
        return one(tax_rates.by_codes, self.scope)

    @cached_property
    def entitled(self) -> DataLoader[str, Entitled | None]:
        """Everything that a subscription was ever given, by the subscription's id."""
        return one(subscriptions.entitled_by_ids, self.scope)

    @cached_property
    def subscription(self) -> DataLoader[str, Subscription | None]:
        return one(subscriptions.by_ids, self.scope)

    @cached_property
    def subscriptions_of_customer(self) -> DataLoader[PageKey, Page[Subscription]]:
        return paged(subscriptions.pages_of_customers, self.scope)

    @cached_property
    def subscriptions_of_plan_version(self) -> DataLoader[PageKey, Page[Subscription]]:
        return paged(subscriptions.pages_of_plan_versions, self.scope)

    @cached_property
    def subscription_count_of_plan_version(self) -> DataLoader[str, int | None]:
        return one(subscriptions.counts_of_plan_versions, self.scope)

    @cached_property
    def line_item(self) -> DataLoader[str, LineItem | None]:
        return one(subscriptions.line_items_by_ids, self.scope)

    @cached_property
    def line_items_of_subscription(self) -> DataLoader[str, list[LineItem]]:
        return many(subscriptions.line_items, self.scope)

    @cached_property
    def holdings_of_subscription(self) -> DataLoader[str, list[Holding]]:
        return many(subscriptions.holdings, self.scope)

    @cached_property
    def pause(self) -> DataLoader[str, Pause | None]:
        return one(subscriptions.pauses_by_ids, self.scope)

    @cached_property
    def pauses_of_subscription(self) -> DataLoader[PageKey, Page[Pause]]:
        return paged(subscriptions.pages_of_pauses, self.scope)

    @cached_property
    def subscription_change(self) -> DataLoader[str, SubscriptionChange | None]:
        return one(subscriptions.changes_by_ids, self.scope)

    @cached_property
    def changes_of_subscription(self) -> DataLoader[PageKey, Page[SubscriptionChange]]:
        return paged(subscriptions.pages_of_changes, self.scope)

    @cached_property
    def scheduled_changes_of_subscription(self) -> DataLoader[str, list[SubscriptionChange]]:
        return many(subscriptions.scheduled_changes, self.scope)

    @cached_property
    def phases_of_subscription(self) -> DataLoader[str, list[SubscriptionChange]]:
        return many(subscriptions.phases, self.scope)

    @cached_property
    def plan_migration(self) -> DataLoader[str, PlanMigration | None]:
        return one(migration_reads.by_ids, self.scope)

    @cached_property
    def plan_migration_item(self) -> DataLoader[str, MigrationItem | None]:
        return one(migration_reads.items_by_ids, self.scope)

    @cached_property
    def items_of_plan_migration(self) -> DataLoader[PageKey, Page[MigrationItem]]:
        return paged(migration_reads.pages_of_items, self.scope)

    @cached_property
    def invoice(self) -> DataLoader[str, Invoice | None]:
        return one(invoices.by_ids, self.scope)

    @cached_property
    def invoices_of_customer(self) -> DataLoader[PageKey, Page[Invoice]]:
        return paged(invoices.pages_of_customers, self.scope)

    @cached_property
    def invoices_of_subscription(self) -> DataLoader[PageKey, Page[Invoice]]:
        return paged(invoices.pages_of_subscriptions, self.scope)

    @cached_property
    def invoice_line(self) -> DataLoader[str, InvoiceLine | None]:
        return one(invoices.lines_by_ids, self.scope)

    @cached_property
    def lines_of_invoice(self) -> DataLoader[str, list[InvoiceLine]]:
        return many(invoices.lines_of_invoices, self.scope)

    @cached_property
    def invoice_correction(self) -> DataLoader[str, Correction | None]:
        return one(corrections.by_ids, self.scope)

    @cached_property
    def applications_of_correction(self) -> DataLoader[str, list[CorrectionApplied]]:
        return many(corrections.applications, self.scope)

    @cached_property
    def credit_note(self) -> DataLoader[str, CreditNote | None]:
        return one(credit_notes.by_ids, self.scope)

    @cached_property
    def credit_notes_of_invoice(self) -> DataLoader[str, list[CreditNote]]:
        return many(credit_notes.of_invoices, self.scope)

    @cached_property
    def credit_notes_of_customer(self) -> DataLoader[PageKey, Page[CreditNote]]:
        return paged(credit_notes.pages_of_customers, self.scope)

    @cached_property
    def lines_of_credit_note(self) -> DataLoader[str, list[CreditNoteLine]]:
        return many(credit_notes.lines_of_notes, self.scope)

    @cached_property
    def applications_of_credit_note(self) -> DataLoader[str, list[Application]]:
        return many(credit_notes.applications_of_notes, self.scope)

    @cached_property
    def applications_to_invoice(self) -> DataLoader[str, list[Application]]:
        return many(credit_notes.applications_to_invoices, self.scope)

    @cached_property
    def consolidated_into(self) -> DataLoader[str, list[Invoice]]:
        return many(invoices.consolidated_into, self.scope)

    @cached_property
    def settlements_of_invoice(self) -> DataLoader[str, list[Settlement]]:
        return many(invoices.settlements_of_invoices, self.scope)

    @cached_property
    def environment(self) -> DataLoader[str, Environment | None]:
        return one(environments.by_ids, self.scope)

    @cached_property
    def user(self) -> DataLoader[str, User | None]:
        return one(users.by_ids, self.scope)

    @cached_property
    def service_account(self) -> DataLoader[str, ServiceAccount | None]:
        return one(service_accounts.by_ids, self.scope)

    @cached_property
    def role(self) -> DataLoader[str, Role | None]:
        return one(roles.by_ids, self.scope)

    @cached_property
    def api_key(self) -> DataLoader[str, ApiKey | None]:
        return one(api_keys.by_ids, self.scope)

    @cached_property
    def audit_entry(self) -> DataLoader[str, AuditEntry | None]:
        return one(audit_entries.by_ids_in_both, self.scope)


__all__ = ["Loaders", "many", "one", "paged", "required"]
