from tortoise import fields
from tortoise.models import Model

from app.infra.tables import ScopedTable


class MeterTable(ScopedTable):
    name = fields.CharField(max_length=255)
    description = fields.CharField(max_length=1000, null=True)
    event_name = fields.CharField(max_length=255)
    aggregation = fields.JSONField[dict[str, str]]()
    filters = fields.JSONField[dict[str, object]]()
    dimensions = fields.JSONField[list[str]]()
    metadata = fields.JSONField[dict[str, str]]()
    version = fields.IntField()
    backfilled_at = fields.DatetimeField(null=True)
    archived_at = fields.DatetimeField(null=True)

    class Meta:
        table = "meters"
        indexes = (
            ("tenant_id", "environment_id", "created_at", "id"),
            ("tenant_id", "environment_id", "event_name"),
        )


class UsageWatermarkTable(Model):
    """An instant, and where the log of a topic stood when it was taken. It is of no tenant.

    `at` and `ends` are empty while it is being taken. `ends` has the offset after the last
    message of each partition, by its number. `passed`: the consumers have come that far.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    topic = fields.CharField(max_length=255)
    started_at = fields.DatetimeField()
    at = fields.DatetimeField(null=True)
    ends = fields.JSONField[list[int]](null=True)
    passed = fields.BooleanField(default=False)

    class Meta:
        table = "usage_watermarks"
        unique_together = (("topic", "at"),)
