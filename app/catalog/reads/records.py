"""What the rows of every table of the catalogue have in common."""

from typing import Any

import orjson


def json_of(value: Any) -> Any:
    """A jsonb column: asyncpg hands it over as text unless a codec is set."""
    return orjson.loads(value) if isinstance(value, str) else value


ARCHIVABLE_STATUS = "(CASE WHEN archived_at IS NULL THEN 'active' ELSE 'archived' END)"
