"""Arrays of texts as one parameter of a statement: asyncpg encodes an array element by element,
which for the thousands of a billing run takes more time than PostgreSQL takes to split a text."""

from collections.abc import Iterable
from typing import Final

# Neither an id nor a JSON document has it, but escaped; and the same in SQL.
BETWEEN: Final = "\x1e"
SQL_BETWEEN: Final = r"E'\x1e'"


def joined(values: Iterable[str | None]) -> str:
    """The values as `texts` reads them. None is empty, and nothing else may be.

    Raises ValueError for a value with the character that stands between them: for what others
    may choose, such as the ids of events, an array does.
    """
    listed = [value or "" for value in values]
    found = BETWEEN.join(listed)
    if found.count(BETWEEN) >= max(len(listed), 1):
        raise ValueError(f"a value holds {BETWEEN!r}, which stands between values")
    return found


def texts(place: int) -> str:
    """SQL for the array in the parameter at `place`, counted from 1."""
    return f"string_to_array(${place}, {SQL_BETWEEN}, '')"
