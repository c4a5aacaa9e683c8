"""Updates change what they name: an absent field stays, null clears."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from strawberry import Some


def present(patch: object, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of an input that the caller sent, by Python name.

    Fields that may be absent are declared `strawberry.Maybe[T | None]`. Whether null is allowed
    is the domain's to say, so that it is refused like any other value. `without` names fields
    that select what is changed, such as the id.
    """
    if not is_dataclass(patch) or isinstance(patch, type):
        raise TypeError(f"{patch!r} is not an input")
    found: dict[str, Any] = {}
    for field in fields(patch):
        value = getattr(patch, field.name)
        if field.name in without or value is None:
            continue
        found[field.name] = value.value if isinstance(value, Some) else value
    return found


def plain(value: object) -> Any:
    """An input as mappings and lists, for what the domain takes as JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(item) for key, item in present(value).items()}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
