"""Permissions, the roles that bundle them, and the rule that nobody gives what they lack."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.kernel.errors import Invalid
from app.tenants.errors import BeyondOwnPermissions

# Resources that belong to a tenant as a whole; all others live in one environment.
TENANT_WIDE = frozenset({"tenant", "environment", "user", "role", "audit"})
_READ_AND_WRITE = (
    "addon",
    "api_key",
    "billing",
    "coupon",
    "credit_note",
    "customer",
    "entitlement",
    "environment",
    "event",
    "feature",
    "group",
    "invoice",
    "meter",
    "plan",
    "price",
    "price_unit",
    "role",
    "setting",
    "subscription",
    "tax",
    "tenant",
    "test_clock",
    "user",
)
_READ = ("audit", "usage")  # nobody writes these: they follow from what is done

READS = frozenset(f"{resource}:read" for resource in (*_READ_AND_WRITE, *_READ))
WRITES = frozenset(f"{resource}:write" for resource in _READ_AND_WRITE)
PERMISSIONS = READS | WRITES


def _writes(*resources: str) -> frozenset[str]:
    return frozenset(f"{resource}:write" for resource in resources)


_CATALOGUE = (
    "addon",
    "coupon",
    "customer",
    "entitlement",
    "feature",
    "group",
    "meter",
    "plan",
    "price",
    "price_unit",
    "subscription",
    "tax",
)

OWNER = "owner"
BUILT_IN: dict[str, frozenset[str]] = {
    OWNER: PERMISSIONS,
    "admin": PERMISSIONS - {"tenant:write"},
    "billing": READS | _writes(*_CATALOGUE, "billing", "credit_note", "invoice", "test_clock"),
    "developer": READS | _writes(*_CATALOGUE, "api_key", "event", "test_clock"),
    "viewer": READS,
    "event_ingestor": frozenset({"event:write"}),
    "event_reader": frozenset({"event:read", "usage:read"}),
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role that a tenant made. Who holds it has what it says at this moment."""

    id: str
    name: str
    permissions: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


def checked(permissions: Iterable[str], field: str = "permissions") -> tuple[str, ...]:
    """The permissions, sorted and each once. Raises: Invalid (INVALID_PERMISSIONS)."""
    wanted = set(permissions)
    unknown = sorted(wanted - PERMISSIONS)
    if unknown:
        raise Invalid(
            f"{field}: {', '.join(unknown)}: no such permission; there are "
            f"{', '.join(sorted(PERMISSIONS))}",
            field=field,
            code="INVALID_PERMISSIONS",
        )
    if not wanted:
        raise Invalid(
            f"{field}: give at least one permission", field=field, code="INVALID_PERMISSIONS"
        )
    return tuple(sorted(wanted))


def within(wanted: Iterable[str], holding: frozenset[str], field: str | None = None) -> None:
    """Nobody grants, or acts upon, more than they hold. Raises: BeyondOwnPermissions."""
    beyond = sorted(set(wanted) - holding)
    if beyond:
        raise BeyondOwnPermissions(beyond, field)
