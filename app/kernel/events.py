"""What happened: frozen facts in the past tense, told upwards through the outbox."""

from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True):
    """A fact about one entity. `name` is what subscribers see (`invoice.finalized`), forever.

    `payload` holds ids and JSON scalars only; decimals as strings, instants as ISO 8601.
    """

    name: ClassVar[str]
    entity_id: str
    occurred_at: datetime

    def payload(self) -> dict[str, Any]:
        """What travels besides the entity's id. Override to add facts."""
        return {}
