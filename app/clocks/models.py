from tortoise import fields
from tortoise.migrations.constraints import UniqueConstraint

from app.infra.tables import ScopedTable


class TestClockTable(ScopedTable):
    name = fields.CharField(max_length=255)
    governs = fields.CharField(max_length=16)
    frozen_at = fields.DatetimeField()
    state = fields.CharField(max_length=16)  # ready, advancing, failed
    advancing_to = fields.DatetimeField(null=True)
    failure = fields.TextField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "test_clocks"
        constraints = (
            UniqueConstraint(
                fields=("tenant_id", "environment_id", "name"),
                name="test_clocks_name",
                condition="archived_at IS NULL",
            ),
            # An archived one, too: the environment stands where it stands.
            UniqueConstraint(
                fields=("tenant_id", "environment_id"),
                name="test_clocks_environment",
                condition="governs = 'environment'",
            ),
        )
        indexes = (("tenant_id", "environment_id", "created_at", "id"),)
