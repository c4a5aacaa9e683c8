"""Entitlements without a database behind them, with defaults that a test overrides by name."""

from datetime import UTC, datetime
from decimal import Decimal

from app.catalog.entitlement import Entitlement, Owner, OwnerKind, substance_hash
from app.catalog.entitlement_terms import Metered, Resets
from app.kernel.ids import new_id

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FEATURE = "feat_01J00000000000000000000000"


def metered(limit, resets="month", **fields):
    """`limit` as text; None is unlimited."""
    exact = None if limit is None else Decimal(limit)
    return Metered(exact, Resets(resets), **fields)


def entitlement(terms, *, kind=OwnerKind.PLAN, **fields):
    overrides = fields.get("overrides")
    enabled = fields.get("enabled", True)
    defaults = {
        "id": new_id("ent"),
        "owner": Owner(kind, f"{kind.value}_1"),
        "feature_id": FEATURE,
        "enabled": True,
        "terms": terms,
        "overrides": None,
        "metadata": {},
        "content_hash": substance_hash(FEATURE, terms, overrides, enabled=enabled),
        "replaces_id": None,
        "effective_from": LONG_AGO,
        "effective_until": None,
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    }
    return Entitlement(**defaults | fields)
