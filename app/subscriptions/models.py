from typing import Any

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from app.infra.tables import ScopedTable, amount_field, id_field, quantity_field


class SubscriptionTable(ScopedTable):
    customer_id = id_field()
    plan_id = id_field()
    plan_version_id = id_field()
    status = fields.CharField(max_length=16)
    currency = fields.CharField(max_length=3)
    timezone = fields.CharField(max_length=64)
    alignment = fields.CharField(max_length=16)
    anchor = fields.DatetimeField()
    anchor_given = fields.BooleanField()
    cadence_unit = fields.CharField(max_length=16)
    cadence_count = fields.IntField()
    starts_at = fields.DatetimeField()
    start_given = fields.BooleanField()
    ends_at = fields.DatetimeField(null=True)
    trial_ends_at = fields.DatetimeField(null=True)
    trial_days = fields.IntField(null=True)
    trial_bills_usage = fields.BooleanField()
    trial_planned_end = fields.DatetimeField(null=True)
    trial_told = fields.BooleanField()
    # What billing has to know of the pauses; their history is in subscription_pauses.
    pauses = fields.JSONField[list[dict[str, Any]]]()
    cuts = fields.JSONField[list[dict[str, Any]]]()
    # Those that hold, held and will hold, each with its terms.
    commitments = fields.JSONField[list[dict[str, Any]]](default=list)
    cancel_requested_at = fields.DatetimeField(null=True)
    cancel_mode = fields.CharField(max_length=16, null=True)
    cancel_final_invoice = fields.BooleanField(null=True)
    cancel_reason = fields.CharField(max_length=32, null=True)
    cancel_comment = fields.CharField(max_length=1000, null=True)
    cancel_ended_at = fields.DatetimeField(null=True)
    net_days = fields.IntField(null=True)
    collection_method = fields.CharField(max_length=32)
    purchase_order = fields.CharField(max_length=64, null=True)
    auto_invoice_threshold = amount_field(null=True)
    parent_pays = fields.BooleanField(null=True)
    # When the usage of the customer's children counts.
    families = fields.JSONField[list[dict[str, Any]]](default=list)
    current_period_start = fields.DatetimeField()
    current_period_end = fields.DatetimeField()
    billed_until = fields.DatetimeField(null=True)
    threshold_until = fields.DatetimeField(null=True)
    changed_at = fields.JSONField[list[str]]()
    next_change_at = fields.DatetimeField(null=True)
    prorate_by = fields.CharField(max_length=8)
    revision = fields.IntField()
    metadata = fields.JSONField[dict[str, str]]()

    class Meta:
        table = "subscriptions"
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "customer_id", "created_at", "id"),
            ("tenant_id", "environment_id", "plan_id"),
            ("tenant_id", "environment_id", "plan_version_id", "created_at", "id"),
            ("tenant_id", "environment_id", "status"),
        )


class LineItemTable(ScopedTable):
    subscription_id = id_field()
    price_id = id_field()
    price_hash = fields.CharField(max_length=64)
    quantity = quantity_field(null=True)
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)
    # The id of the first line of a history of lines that took over from one another.
    line_key = id_field()
    first_fee = fields.CharField(max_length=16)
    # Of an addon: the key of the holding that it belongs to.
    holding_id = id_field(null=True)
    change_id = id_field(null=True)
    replaces_id = id_field(null=True)

    class Meta:
        table = "subscription_line_items"
        indexes = (
            ("tenant_id", "environment_id", "subscription_id"),
            ("tenant_id", "environment_id", "price_id"),
        )


class HoldingTable(ScopedTable):
    subscription_id = id_field()
    plan_id = id_field(null=True)
    plan_version_id = id_field(null=True)
    addon_id = id_field(null=True)
    quantity = quantity_field()
    entitlement_ids = fields.JSONField[list[str]]()
    # The id of the first holding of a history of holdings that took over from one another.
    key = id_field()
    starts_at = fields.DatetimeField(null=True)
    ends_at = fields.DatetimeField(null=True)

    class Meta:
        table = "subscription_holdings"
        constraints = (
            CheckConstraint(
                check="num_nonnulls(plan_id, addon_id) = 1", name="subscription_holdings_one_owner"
            ),
            CheckConstraint(check="quantity > 0", name="subscription_holdings_quantity"),
        )
        indexes = (("tenant_id", "environment_id", "subscription_id"),)


class PauseTable(ScopedTable):
    """Pauses under way, to come, over and taken back."""

    subscription_id = id_field()
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)
    behaviour = fields.CharField(max_length=16)
    reason = fields.CharField(max_length=500, null=True)
    canceled_at = fields.DatetimeField(null=True)

    class Meta:
        table = "subscription_pauses"
        indexes = (("tenant_id", "environment_id", "subscription_id", "starts_at", "id"),)


class SubscriptionChangeTable(ScopedTable):
    """Changes to come, applied, taken back and failed."""

    subscription_id = id_field()
    customer_id = id_field()
    kind = fields.CharField(max_length=16)
    status = fields.CharField(max_length=16)
    mode = fields.CharField(max_length=16)
    proration = fields.CharField(max_length=20)
    effective_at = fields.DatetimeField()
    applied_at = fields.DatetimeField(null=True)
    canceled_at = fields.DatetimeField(null=True)
    failure_code = fields.CharField(max_length=64, null=True)
    failure_message = fields.CharField(max_length=1000, null=True)
    terms = fields.JSONField[dict[str, Any]]()
    direction = fields.CharField(max_length=16, null=True)
    closed_ids = fields.JSONField[list[str]]()
    opened_ids = fields.JSONField[list[str]]()
    invoice_id = id_field(null=True)
    credit_note_ids = fields.JSONField[list[str]]()

    class Meta:
        table = "subscription_changes"
        constraints = (
            CheckConstraint(
                check="(status = 'applied') = (applied_at IS NOT NULL) AND "
                "(status = 'canceled') = (canceled_at IS NOT NULL) AND "
                "(status = 'failed') = (failure_code IS NOT NULL)",
                name="subscription_changes_status",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "subscription_id", "effective_at", "id"),
            ("tenant_id", "environment_id", "status", "effective_at", "id"),
        )


class PlanMigrationTable(ScopedTable):
    """Bulk migrations. The counts are of its items, kept with them."""

    status = fields.CharField(max_length=16)
    plan_id = id_field()
    plan_version_id = id_field()
    mode = fields.CharField(max_length=16)
    at = fields.DatetimeField(null=True)
    proration = fields.CharField(max_length=20)
    terms = fields.JSONField[dict[str, Any]]()
    total = fields.IntField()
    pending = fields.IntField()
    changed = fields.IntField()
    refused = fields.IntField()
    canceled = fields.IntField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "plan_migrations"
        constraints = (
            CheckConstraint(
                check="total = pending + changed + refused + canceled AND pending >= 0 AND "
                "(status = 'running') = (finished_at IS NULL)",
                name="plan_migrations_counts",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class PlanMigrationItemTable(ScopedTable):
    """The subscriptions of a migration, as they were selected when it was started."""

    migration_id = id_field()
    subscription_id = id_field()
    customer_id = id_field()
    status = fields.CharField(max_length=16)
    from_plan_version_id = id_field()
    change_id = id_field(null=True)
    failure_code = fields.CharField(max_length=64, null=True)
    failure_message = fields.CharField(max_length=1000, null=True)
    done_at = fields.DatetimeField(null=True)

    class Meta:
        table = "plan_migration_items"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "migration_id", "subscription_id"),
                name="plan_migration_items_once",
            ),
            CheckConstraint(
                check="(status = 'pending') = (done_at IS NULL) AND "
                "(status = 'changed') = (change_id IS NOT NULL) AND "
                "(status = 'refused') = (failure_code IS NOT NULL)",
                name="plan_migration_items_status",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "migration_id", "status", "id"),
            ("tenant_id", "environment_id", "subscription_id"),
        )
