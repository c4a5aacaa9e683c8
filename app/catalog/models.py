from typing import Any

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint, UniqueConstraint

from app.infra.tables import ScopedTable, amount_field, id_field, rate_field


class FeatureTable(ScopedTable):
    name = fields.CharField(max_length=255)
    lookup_key = fields.CharField(max_length=255)
    type = fields.CharField(max_length=16)
    meter_id = id_field(null=True)
    unit_singular = fields.CharField(max_length=64, null=True)
    unit_plural = fields.CharField(max_length=64, null=True)
    reporting_unit = fields.JSONField[dict[str, str]](null=True)
    group_id = id_field(null=True)
    description = fields.TextField(null=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "features"
        # Archived features free their lookup key.
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "lookup_key"),
                name="features_lookup_key",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "meter_id"),
            ("tenant_id", "environment_id", "group_id"),
        )


class GroupTable(ScopedTable):
    name = fields.CharField(max_length=255)
    lookup_key = fields.CharField(max_length=255)
    kind = fields.CharField(max_length=16)
    description = fields.TextField(null=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        # GROUPS is a word of SQL.
        table = "catalog_groups"
        # Archived groups free their lookup key.
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "lookup_key"),
                name="catalog_groups_lookup_key",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class PlanTable(ScopedTable):
    name = fields.CharField(max_length=255)
    lookup_key = fields.CharField(max_length=255)
    description = fields.TextField(null=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "plans"
        # Archived plans free their lookup key.
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "lookup_key"),
                name="plans_lookup_key",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class PlanVersionTable(ScopedTable):
    """`current`: new subscriptions take this one."""

    plan_id = id_field()
    number = fields.IntField()
    description = fields.TextField(null=True)
    current = fields.BooleanField()
    published_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "plan_versions"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "plan_id", "number"),
                name="plan_versions_number",
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "plan_id"),
                name="plan_versions_one_draft",
                condition="published_at IS NULL AND archived_at IS NULL",
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "plan_id"),
                name="plan_versions_one_current",
                condition="current",
            ),
            CheckConstraint(
                check="NOT current OR (published_at IS NOT NULL AND archived_at IS NULL)",
                name="plan_versions_current_is_published",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class AddonTable(ScopedTable):
    name = fields.CharField(max_length=255)
    lookup_key = fields.CharField(max_length=255)
    type = fields.CharField(max_length=16)
    description = fields.TextField(null=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "addons"
        # Archived addons free their lookup key.
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "lookup_key"),
                name="addons_lookup_key",
                condition="archived_at IS NULL",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class PriceUnitTable(ScopedTable):
    code = fields.CharField(max_length=32)
    name = fields.CharField(max_length=255)
    symbol = fields.CharField(max_length=8, null=True)
    base_currency = fields.CharField(max_length=3)
    conversion_rate = rate_field()
    description = fields.TextField(null=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "price_units"
        # Archived units free their code.
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "code"),
                name="price_units_code",
                condition="archived_at IS NULL",
            ),
            CheckConstraint(check="conversion_rate > 0", name="price_units_rate"),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class PriceTable(ScopedTable):
    """The substance of a row (see `content_hash`) is written once and never changed, unless it
    belongs to a version that was never published.

    One of a subscription's own is instead of the row of the catalogue that it `overrides`.
    `offered`: what new subscriptions can take; of an addon, or of its plan's current version.
    """

    plan_id = id_field(null=True)
    plan_version_id = id_field(null=True)
    addon_id = id_field(null=True)
    subscription_id = id_field(null=True)
    overrides_id = id_field(null=True)
    instead_of_plan_id = id_field(null=True)
    offered = fields.BooleanField()
    lineage_id = id_field()
    feature_id = id_field(null=True)
    meter_id = id_field(null=True)
    lookup_key = fields.CharField(max_length=255, null=True)
    display_name = fields.CharField(max_length=255)
    group_id = id_field(null=True)
    charge = fields.CharField(max_length=16)
    billing = fields.CharField(max_length=16)
    model = fields.JSONField[dict[str, Any]]()
    adjustments = fields.JSONField[dict[str, Any]]()
    currency = fields.CharField(max_length=3)
    price_unit_id = id_field(null=True)
    price_unit = fields.CharField(max_length=32, null=True)
    conversion_rate = rate_field(null=True)
    cadence_unit = fields.CharField(max_length=16)
    cadence_count = fields.IntField()
    timing = fields.CharField(max_length=16)
    group_by = fields.JSONField[list[str]]()
    trial_days = fields.IntField()
    metadata = fields.JSONField[dict[str, str]]()
    content_hash = fields.CharField(max_length=64)
    replaces_id = id_field(null=True)
    effective_from = fields.DatetimeField()
    effective_until = fields.DatetimeField(null=True)

    class Meta:
        table = "prices"
        constraints = (
            # A price that has an end frees its lookup key, for the row that takes over; a
            # version that is not the current one keeps its keys to itself.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "lookup_key"),
                name="prices_lookup_key",
                condition="effective_until IS NULL AND offered",
            ),
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "plan_version_id", "lookup_key"),
                name="prices_lookup_key_of_version",
                condition="effective_until IS NULL",
            ),
            CheckConstraint(
                check="num_nonnulls(plan_version_id, addon_id, subscription_id) = 1 AND "
                "(plan_id IS NULL) = (plan_version_id IS NULL)",
                name="prices_one_owner",
            ),
            CheckConstraint(
                check="(overrides_id IS NULL) = (subscription_id IS NULL) AND "
                "NOT (offered AND subscription_id IS NOT NULL)",
                name="prices_overrides",
            ),
            CheckConstraint(
                check="num_nonnulls(price_unit_id, price_unit, conversion_rate) IN (0, 3)",
                name="prices_unit_with_its_rate",
            ),
            # One row is replaced by one row.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "replaces_id"), name="prices_replaces_id"
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "plan_id"),
            ("tenant_id", "environment_id", "plan_version_id"),
            ("tenant_id", "environment_id", "addon_id"),
            ("tenant_id", "environment_id", "subscription_id"),
            ("tenant_id", "environment_id", "price_unit_id"),
            ("tenant_id", "environment_id", "feature_id"),
            ("tenant_id", "environment_id", "group_id"),
        )


def _one_without_end(owner: str) -> UniqueConstraint:
    return UniqueConstraint(
        fields=("tenant_id", "environment_id", f"{owner}_id", "feature_id"),
        name=f"entitlements_{owner}",
        condition=f"{owner}_id IS NOT NULL AND effective_until IS NULL",
    )


class EntitlementTable(ScopedTable):
    """The substance of a row (see `content_hash`) is written once and never changed, unless it
    belongs to a version that was never published."""

    plan_id = id_field(null=True)
    plan_version_id = id_field(null=True)
    addon_id = id_field(null=True)
    subscription_id = id_field(null=True)
    feature_id = id_field()
    enabled = fields.BooleanField()
    terms = fields.JSONField[dict[str, Any]]()
    overrides = fields.CharField(max_length=16, null=True)
    metadata = fields.JSONField[dict[str, str]]()
    content_hash = fields.CharField(max_length=64)
    replaces_id = id_field(null=True)
    effective_from = fields.DatetimeField()
    effective_until = fields.DatetimeField(null=True)

    class Meta:
        table = "entitlements"
        constraints = (
            CheckConstraint(
                check="num_nonnulls(plan_version_id, addon_id, subscription_id) = 1 "
                "AND (plan_id IS NULL) = (plan_version_id IS NULL)",
                name="entitlements_one_owner",
            ),
            CheckConstraint(
                check="(overrides IS NULL) = (subscription_id IS NULL)",
                name="entitlements_overrides",
            ),
            CheckConstraint(check="effective_from <= effective_until", name="entitlements_period"),
            # Actions keep the periods of an owner and a feature apart; this much the database does.
            _one_without_end("plan_version"),
            _one_without_end("addon"),
            _one_without_end("subscription"),
            # One row is replaced by one row.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "replaces_id"),
                name="entitlements_replaces_id",
            ),
        )
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "plan_id"),
            ("tenant_id", "environment_id", "plan_version_id"),
            ("tenant_id", "environment_id", "addon_id"),
            ("tenant_id", "environment_id", "subscription_id"),
            ("tenant_id", "environment_id", "feature_id"),
        )


class CouponTable(ScopedTable):
    """What it takes off is written once. `redemptions` counts under the row's lock."""

    name = fields.CharField(max_length=255)
    code = fields.CharField(max_length=64)
    folded_code = fields.CharField(max_length=64)
    kind = fields.CharField(max_length=16)
    percent_off = amount_field(null=True)
    amount_off = amount_field(null=True)
    currency = fields.CharField(max_length=3, null=True)
    duration = fields.CharField(max_length=16)
    periods = fields.IntField(null=True)
    level = fields.CharField(max_length=16)
    limits = fields.JSONField[dict[str, list[str]]]()
    redeem_from = fields.DatetimeField(null=True)
    redeem_until = fields.DatetimeField(null=True)
    max_redemptions = fields.IntField(null=True)
    redemptions = fields.IntField()
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "coupons"
        constraints = (
            # Archived coupons free their code.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "folded_code"),
                name="coupons_code",
                condition="archived_at IS NULL",
            ),
            CheckConstraint(
                check="(percent_off IS NULL) <> (amount_off IS NULL) AND "
                "(amount_off IS NULL OR currency IS NOT NULL)",
                name="coupons_take_one_thing_off",
            ),
            CheckConstraint(
                check="redemptions >= 0 AND redemptions <= coalesce(max_redemptions, redemptions)",
                name="coupons_redemptions",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)


class TaxRateTable(ScopedTable):
    """What it comes to is written once."""

    name = fields.CharField(max_length=255)
    code = fields.CharField(max_length=255)
    kind = fields.CharField(max_length=16)
    percent = amount_field(null=True)
    amount = amount_field(null=True)
    currency = fields.CharField(max_length=3, null=True)
    inclusive = fields.BooleanField()
    compound = fields.BooleanField()
    description = fields.TextField(null=True)
    metadata = fields.JSONField[dict[str, str]]()
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "tax_rates"
        constraints = (
            # Archived rates free their code.
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "code"),
                name="tax_rates_code",
                condition="archived_at IS NULL",
            ),
            CheckConstraint(
                check="(percent IS NULL) <> (amount IS NULL) AND "
                "(amount IS NULL) = (currency IS NULL)",
                name="tax_rates_come_to_one_thing",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)
