"""Texts that no table can hold are refused before anything is asked with them.

PostgreSQL has no U+0000 and UTF-8 no lone surrogate, so that such a text would fail somewhere
behind, as an id as well as in a filter or an input.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLError, StringValueNode, ValidationRule

from app.graphql.errors import refusal
from app.kernel.checks import storable

_REASON = "a text must not hold U+0000 or a lone surrogate"


class StorableTextsRule(ValidationRule):
    """Refuses such a text in the document itself."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if not storable(node.value):
            self.report_error(GraphQLError(_REASON, node))


def check_texts(variables: Mapping[str, Any]) -> None:
    """Raises: RequestRefused (400, BAD_USER_INPUT), which names the place of the text."""
    if place := _unstorable(variables.items()):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        # Keys are texts too: shown escaped.
        shown = path[1:].encode("unicode_escape").decode()
        raise refusal(f"${shown}: {_REASON}", "BAD_USER_INPUT")


def _unstorable(items: Iterable[tuple[str | int, Any]]) -> list[str | int]:
    """Where the first such text is; empty when there is none. As deep as variables may nest."""
    for key, item in items:
        if isinstance(key, str) and not storable(key):
            return [key]
        if isinstance(item, str):
            if not storable(item):
                return [key]
        elif isinstance(item, dict | list):
            below = _unstorable(item.items() if isinstance(item, dict) else enumerate(item))
            if below:
                return [key, *below]
    return []
