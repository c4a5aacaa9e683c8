from tortoise import fields
from tortoise.indexes import PartialIndex
from tortoise.models import Model

from app.infra.tables import id_field


class OutboxTable(Model):
    """What happened, waiting to be told. `position` is the order of commits per entity."""

    position = fields.BigIntField(primary_key=True, generated=True)
    tenant_id = id_field()
    environment_id = id_field()
    name = fields.CharField(max_length=64)
    entity_id = id_field()
    occurred_at = fields.DatetimeField()
    payload = fields.JSONField[dict[str, object]]()
    # Given by the relay, without a gap per environment, before the entry is told.
    sequence = fields.BigIntField(null=True)
    told = fields.BooleanField(default=False)

    class Meta:
        table = "outbox"
        unique_together = (("tenant_id", "environment_id", "sequence"),)
        # The relay looks for what waits; nearly everything has been told.
        indexes = (PartialIndex(fields=("position",), condition={"told": False}),)


class OutboxSequenceTable(Model):
    """The last number the relay gave out in an environment."""

    environment_id = id_field(primary_key=True)
    tenant_id = id_field()
    last_sequence = fields.BigIntField()

    class Meta:
        table = "outbox_sequences"
