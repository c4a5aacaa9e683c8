"""A tenant: a company that bills its customers with the product; and its environments."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.kernel.scope import Scope

# What is done across tenants, or before there is one, is audited here.
INSTALLATION = Scope("system", "system")


class TenantStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"


class EnvironmentType(StrEnum):
    PRODUCTION = "production"
    DEVELOPMENT = "development"


class EnvironmentStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    name: str
    metadata: Mapping[str, str]
    status: TenantStatus
    created_at: datetime
    updated_at: datetime
    suspended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Environment:
    """A wall inside a tenant: customers, prices, events and keys live in exactly one.

    `name` is unique among the tenant's environments that are not archived. `overrides` is what
    was set of its settings; `app.tenants.settings` merges it over the defaults.
    """

    id: str
    name: str
    type: EnvironmentType
    overrides: Mapping[str, Any]
    status: EnvironmentStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


def whole(tenant_id: str) -> Scope:
    """The scope of what belongs to no single environment: users, roles, environments.

    The tenant's id stands in for an environment's, so that such facts are audited and told in
    a stream of their own, which each tenant has once.
    """
    return Scope(tenant_id, tenant_id)
