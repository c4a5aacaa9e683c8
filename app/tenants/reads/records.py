from typing import Any

import orjson


def json_of(value: Any) -> Any:
    """A jsonb column. asyncpg hands it over as text unless a codec is set."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value
