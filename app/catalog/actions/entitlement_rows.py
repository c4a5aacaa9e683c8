"""From a command to an entitlement, and from an entitlement to the columns of its row."""

from datetime import datetime
from typing import Any

from app.catalog.actions.inputs import NAMED
from app.catalog.entitlement import (
    CreateEntitlement,
    Entitlement,
    Overrides,
    Owner,
    OwnerKind,
    substance_hash,
)
from app.catalog.entitlement_terms import Terms, to_json, type_of
from app.catalog.feature import Feature, FeatureType
from app.kernel import checks
from app.kernel.checks import Checks, required
from app.kernel.errors import Invalid
from app.kernel.ids import new_id


def draft(command: CreateEntitlement, owner: Owner, *, at: datetime) -> Entitlement:
    """The entitlement that a command asks for, before its feature is known. Raises: Invalid."""
    overrides = overriding(owner.kind, command.overrides)
    if owner.kind is OwnerKind.SUBSCRIPTION and overrides is None:
        overrides = Overrides.ALL
    start = command.effective_from or at
    return Entitlement(
        id=new_id("ent"),
        owner=owner,
        feature_id=command.feature_id,
        enabled=command.enabled,
        terms=command.terms,
        overrides=overrides,
        metadata=checks.metadata(command.metadata),
        content_hash=substance_hash(
            command.feature_id, command.terms, overrides, enabled=command.enabled
        ),
        replaces_id=None,
        effective_from=start,
        effective_until=ending(command.effective_until, after=start),
        created_at=at,
        updated_at=at,
    )


def overriding(kind: OwnerKind, overrides: Overrides | None) -> Overrides | None:
    """Raises: Invalid (OVERRIDES_NOT_ALLOWED)."""
    if overrides is not None and kind is not OwnerKind.SUBSCRIPTION:
        raise Invalid(
            f"overrides: what a {kind.value} gives takes the place of nothing; leave it out",
            field="overrides",
            code="OVERRIDES_NOT_ALLOWED",
        )
    return overrides


def ending(until: datetime | None, *, after: datetime) -> datetime | None:
    """Raises: Invalid (INVALID_EFFECTIVE_UNTIL)."""
    if until is not None and until <= after:
        raise checks.invalid(
            "effectiveUntil", f"{until.isoformat()} must lie after {after.isoformat()}"
        )
    return until


def check_type(feature: Feature, terms: Terms) -> None:
    """Raises: Invalid (TERMS_NOT_OF_FEATURE)."""
    given = type_of(terms)
    if given is not feature.type:
        right = "leave it out" if feature.type is FeatureType.BOOLEAN else f"give {feature.type}"
        raise Invalid(
            f"terms: {feature.lookup_key} is a {feature.type.value} feature, and these terms are "
            f"{given.value}; {right}",
            field="terms",
            code="TERMS_NOT_OF_FEATURE",
        )


def columns(entitlement: Entitlement) -> dict[str, Any]:
    """The row of a new entitlement, without its scope."""
    return {
        "id": entitlement.id,
        f"{entitlement.owner.kind.value}_id": entitlement.owner.id,
        "plan_version_id": entitlement.owner.version_id,
        "feature_id": entitlement.feature_id,
        "enabled": entitlement.enabled,
        "terms": to_json(entitlement.terms),
        "overrides": None if entitlement.overrides is None else entitlement.overrides.value,
        "metadata": dict(entitlement.metadata),
        "content_hash": entitlement.content_hash,
        "replaces_id": entitlement.replaces_id,
        "effective_from": entitlement.effective_from,
        "effective_until": entitlement.effective_until,
        "created_at": entitlement.created_at,
        "updated_at": entitlement.updated_at,
    }


def told(entitlement: Entitlement) -> dict[str, Any]:
    """What every event of an entitlement carries."""
    owner = entitlement.owner
    return {
        "entity_id": entitlement.id,
        "owner_kind": owner.kind.value,
        "owner_id": owner.id,
        "plan_version_id": owner.version_id,
        "feature_id": entitlement.feature_id,
    }


CHANGEABLE: Checks = {
    "enabled": lambda v: required(v, "enabled"),
    "terms": lambda v: required(v, "terms"),
    "overrides": lambda v: required(v, "overrides"),
    "metadata": NAMED["metadata"],
    "effective_from": lambda v: v,
}
