"""Inputs of actions as field → value, one level deep."""

from dataclasses import fields
from typing import Any


def fields_of(command: Any) -> dict[str, Any]:
    """The fields of a dataclass with their values as they are (`asdict` would copy deeply)."""
    return {field.name: getattr(command, field.name) for field in fields(command)}
