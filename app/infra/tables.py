"""The columns that tables share, and the SQL that walls tenants off from each other."""

from typing import Any

from tortoise import fields
from tortoise.models import Model


def id_field(**options: Any) -> Any:
    """A prefixed ULID: at most 35 characters."""
    return fields.CharField(max_length=40, **options)


def amount_field(**options: Any) -> Any:
    """Money in major units. Rounded or not, twelve decimals hold every stored amount."""
    return fields.DecimalField(max_digits=38, decimal_places=12, **options)


def rate_field(**options: Any) -> Any:
    """What one of something is worth in major units of a currency, as exact as a price is."""
    return fields.DecimalField(max_digits=36, decimal_places=18, **options)


def quantity_field(**options: Any) -> Any:
    """A metered quantity, as wide as ClickHouse stores it."""
    return fields.DecimalField(max_digits=76, decimal_places=18, **options)


class TenantTable(Model):
    """A table whose rows belong to a tenant as a whole, such as its users."""

    id = id_field(primary_key=True)
    tenant_id = id_field()
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        abstract = True


class ScopedTable(Model):
    """A table whose rows belong to one environment of one tenant: nearly every table."""

    id = id_field(primary_key=True)
    tenant_id = id_field()
    environment_id = id_field()
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        abstract = True


SYSTEM = "current_setting('tariff.system', true) = 'on'"
_TENANT = "tenant_id = current_setting('tariff.tenant_id', true)"
_ENVIRONMENT = "environment_id = current_setting('tariff.environment_id', true)"


def row_level_security(table: str, *, environment: bool, key: str = "tenant_id") -> list[str]:
    """Statements that hide other scopes' rows of `table` from every role, its owner included.

    `key` names the column that holds the tenant's id (`id` in the table of tenants itself).
    """
    mine = _TENANT.replace("tenant_id =", f"{key} =", 1)
    if environment:
        mine = f"{mine} AND {_ENVIRONMENT}"
    return [
        f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
        f'CREATE POLICY scope ON "{table}" USING ({SYSTEM} OR ({mine})) '
        f"WITH CHECK ({SYSTEM} OR ({mine}))",
    ]
