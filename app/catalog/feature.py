"""A feature: something a plan can give, and what usage of it is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class FeatureType(StrEnum):
    METERED = "metered"
    """Counted by a meter; prices and limits can be put on it."""
    BOOLEAN = "boolean"
    """On or off."""
    STATIC = "static"
    """A value, such as a support level."""
    CONFIG = "config"
    """A JSON value."""


class FeatureStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Feature:
    """A row as everyone above the table sees it.

    `lookup_key` is the name that programs use; it never changes and is unique among the
    features of the environment that are not archived. `meter_id` is set for metered features
    alone, and never changes. The unit names are what one and several are called.
    """

    id: str
    name: str
    lookup_key: str
    type: FeatureType
    meter_id: str | None
    unit_singular: str | None
    unit_plural: str | None
    description: str | None
    metadata: Mapping[str, str]
    status: FeatureStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFeature:
    name: str
    lookup_key: str
    type: FeatureType
    meter_id: str | None = None
    unit_singular: str | None = None
    unit_plural: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
