"""Cursors: where a row stands in an order, opaque to whoever carries it around."""

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, overload

import orjson

from app.infra.listing.columns import Column, Listing, from_json, to_json
from app.kernel.errors import Invalid
from app.kernel.listing import Order

MAX_CURSOR_CHARACTERS = 8_192
Key = tuple[Column, bool]  # a column of the order, and whether it descends


class Cursors(Sequence[str]):
    """The cursors of a page's rows, written only where somebody asks for them."""

    def __init__(self, signature: str, keys: Sequence[Sequence[Any]]) -> None:
        self._signature, self._keys = signature, keys

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return Cursors(self._signature, self._keys[index])
        return _encode([self._signature, *(to_json(value) for value in self._keys[index])])


def signature(listing: Listing, keys: Sequence[Key]) -> str:
    """Ties a cursor to the list and the order it was made for."""
    spelled = ",".join(f"{column.field}{'-' if down else '+'}" for column, down in keys)
    return hashlib.sha256(f"{listing.table}:{spelled}".encode()).hexdigest()[:12]


def order_keys(listing: Listing, order: Sequence[Order]) -> list[Key]:
    """The columns of an order, the id last. Raises: Invalid (INVALID_ORDER)."""
    keys: list[Key] = []
    for asked in order or listing.default_order:
        column = listing.by_name.get(asked.field)
        if column is None or not column.sortable:
            raise Invalid(
                f"orderBy: {listing.table} cannot be ordered by {asked.field}",
                field="orderBy",
                code="INVALID_ORDER",
            )
        if any(column is known for known, _ in keys):
            raise Invalid(
                f"orderBy: {asked.field} is named twice", field="orderBy", code="INVALID_ORDER"
            )
        keys.append((column, asked.descending))
    identity = listing.by_name["id"]
    if all(column is not identity for column, _ in keys):
        keys.append((identity, keys[-1][1] if keys else False))
    return keys


def decode(listing: Listing, keys: Sequence[Key], cursor: str, field: str) -> list[Any]:
    """The values of the keys at a cursor. Raises: Invalid (INVALID_CURSOR)."""
    refusal = Invalid(
        f"{field}: not a cursor of this list in this order; take one from its pageInfo or edges",
        field=field,
        code="INVALID_CURSOR",
    )
    if len(cursor) > MAX_CURSOR_CHARACTERS:
        raise refusal
    try:
        content = orjson.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=="))
        if not isinstance(content, list) or len(content) != len(keys) + 1:
            raise refusal
        if content[0] != signature(listing, keys):
            raise refusal
        values = [
            from_json(column.kind, value)
            for (column, _), value in zip(keys, content[1:], strict=True)
        ]
    except (ValueError, binascii.Error) as error:
        raise refusal from error
    if any(v is None and not c.nullable for v, (c, _) in zip(values, keys, strict=True)):
        raise refusal
    return values


def _encode(content: list[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()
