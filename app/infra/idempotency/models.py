from tortoise import fields
from tortoise.models import Model

from app.infra.tables import id_field


class IdempotencyTable(Model):
    """A request that was carried out, and what it was answered."""

    id = id_field(primary_key=True)
    tenant_id = id_field()
    environment_id = id_field()
    actor_id = fields.CharField(max_length=64)
    key = fields.CharField(max_length=255)
    # SHA-256 of the request, to tell a repetition from another request with the same key.
    fingerprint = fields.BinaryField()
    # Null where the answer held a secret that is shown once.
    answer = fields.BinaryField(null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "idempotency_records"
        unique_together = (("tenant_id", "environment_id", "actor_id", "key"),)
        indexes = (("tenant_id", "environment_id", "expires_at"),)
