from tortoise import fields
from tortoise.models import Model

from app.infra.tables import id_field


class DueItemTable(Model):
    """Work that falls due at an instant of its owner's clock; one per kind and subject."""

    id = id_field(primary_key=True)
    tenant_id = id_field()
    environment_id = id_field()
    kind = fields.CharField(max_length=64)
    subject_id = id_field()
    owner_id = id_field(null=True)  # the customer whose work it is; null: the environment's own
    clock_id = id_field(null=True)  # the test clock the owner lives on; null: the environment's
    due_at = fields.DatetimeField()
    attempts = fields.IntField(default=0)
    last_error = fields.TextField(null=True)

    class Meta:
        table = "due_items"
        unique_together = (("tenant_id", "environment_id", "kind", "subject_id"),)
        # A sweep looks across environments by the first; a page goes along the second.
        indexes = (
            ("clock_id", "kind", "due_at"),
            ("tenant_id", "environment_id", "clock_id", "kind", "due_at", "subject_id"),
            ("tenant_id", "environment_id", "owner_id"),
        )


class ClockMemberTable(Model):
    """An owner of due work who lives on a test clock."""

    owner_id = id_field(primary_key=True)
    tenant_id = id_field()
    environment_id = id_field()
    clock_id = id_field()

    class Meta:
        table = "clock_members"
        indexes = (("tenant_id", "environment_id", "clock_id", "owner_id"),)
