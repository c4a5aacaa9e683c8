from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint

from app.infra.tables import ScopedTable, id_field, quantity_field


class SubscriptionTable(ScopedTable):
    customer_id = id_field()
    plan_id = id_field()
    plan_version_id = id_field()
    status = fields.CharField(max_length=16)
    currency = fields.CharField(max_length=3)
    timezone = fields.CharField(max_length=64)
    alignment = fields.CharField(max_length=16)
    anchor = fields.DatetimeField()
    cadence_unit = fields.CharField(max_length=16)
    cadence_count = fields.IntField()
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)
    current_period_start = fields.DatetimeField()
    current_period_end = fields.DatetimeField()
    billed_until = fields.DatetimeField(null=True)
    cancel_requested_at = fields.DatetimeField(null=True)
    metadata = fields.JSONField[dict[str, str]]()

    class Meta:
        table = "subscriptions"
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "customer_id", "created_at", "id"),
            ("tenant_id", "environment_id", "plan_id"),
            ("tenant_id", "environment_id", "plan_version_id", "created_at", "id"),
        )


class LineItemTable(ScopedTable):
    subscription_id = id_field()
    price_id = id_field()
    price_hash = fields.CharField(max_length=64)
    quantity = quantity_field(null=True)
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)

    class Meta:
        table = "subscription_line_items"
        indexes = (
            ("tenant_id", "environment_id", "subscription_id"),
            ("tenant_id", "environment_id", "price_id"),
        )


class HoldingTable(ScopedTable):
    subscription_id = id_field()
    plan_id = id_field(null=True)
    addon_id = id_field(null=True)
    quantity = quantity_field()
    entitlement_ids = fields.JSONField[list[str]]()
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
