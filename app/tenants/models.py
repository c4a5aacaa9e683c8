from tortoise import fields
from tortoise.models import Model

from app.infra.tables import id_field


class AuditEntryTable(Model):
    """Append-only: the application's role may neither update nor delete it."""

    id = id_field(primary_key=True)
    tenant_id = id_field()
    environment_id = id_field()
    at = fields.DatetimeField()
    actor_kind = fields.CharField(max_length=20)
    actor_id = fields.CharField(max_length=64)
    request_id = fields.CharField(max_length=64, null=True)
    action = fields.CharField(max_length=64)
    entity_id = fields.CharField(max_length=64)
    before = fields.JSONField[dict[str, object]](null=True)
    after = fields.JSONField[dict[str, object]](null=True)

    class Meta:
        table = "audit_entries"
        indexes = (
            ("tenant_id", "environment_id", "entity_id"),
            ("tenant_id", "environment_id", "at"),
        )
