"""Arrays of texts as one parameter of a statement: asyncpg encodes an array element by element,
which for the thousands of a billing run takes more time than PostgreSQL takes to split a text."""

from collections.abc import Iterable
from typing import Final

# Neither an id nor a JSON document has it, but escaped.
BETWEEN: Final = "\x1e"


def joined(values: Iterable[str | None]) -> str:
    """The values as `texts` reads them. None is empty, and nothing else may be."""
    return BETWEEN.join([value or "" for value in values])


def texts(place: int) -> str:
    """SQL for the array in the parameter at `place`, counted from 1."""
    return f"string_to_array(${place}, E'{BETWEEN}', '')"
