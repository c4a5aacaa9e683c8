"""From a command to a price, and from a price to the columns of its row."""

from datetime import datetime
from typing import Any

from app.catalog.actions.inputs import NAMED
from app.catalog.price import CreatePrice, Price, PriceStatus
from app.catalog.prices import to_json
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.ids import new_id


def draft(command: CreatePrice, *, at: datetime) -> Price:
    """The price that a command asks for, before its owner and its feature are known.

    Raises: Invalid.
    """
    price_id = new_id("pri")
    named = checked(
        {
            "display_name": command.display_name,
            "lookup_key": command.lookup_key,
            "group_id": command.group_id,
            "metadata": command.metadata,
        },
        CHECKS,
    )
    return Price(
        id=price_id,
        plan_id=None,
        plan_version_id=None,
        addon_id=None,
        offered=False,
        lineage_id=price_id,
        feature_id=command.feature_id,
        meter_id=None,
        charge=command.charge,
        billing=command.billing,
        model=command.model,
        adjustments=command.adjustments,
        currency=checks.currency(command.currency),
        conversion=None,
        cadence=command.cadence,
        timing=command.timing,
        group_by=command.group_by,
        trial_days=command.trial_days,
        content_hash="",
        replaces_id=None,
        effective_from=command.effective_from or at,
        effective_until=None,
        status=PriceStatus.ACTIVE,
        created_at=at,
        updated_at=at,
        **named,
    )


def columns(price: Price) -> dict[str, Any]:
    """The row of a new price, without its scope."""
    return {
        "id": price.id,
        "plan_id": price.plan_id,
        "plan_version_id": price.plan_version_id,
        "addon_id": price.addon_id,
        "subscription_id": price.subscription_id,
        "overrides_id": price.overrides_id,
        "instead_of_plan_id": price.instead_of_plan_id,
        "offered": price.offered,
        "lineage_id": price.lineage_id,
        "feature_id": price.feature_id,
        "meter_id": price.meter_id,
        "lookup_key": price.lookup_key,
        "display_name": price.display_name,
        "group_id": price.group_id,
        "charge": price.charge.value,
        "billing": price.billing.value,
        "model": to_json(price.model),
        "adjustments": to_json(price.adjustments),
        "currency": price.currency,
        "price_unit_id": None if price.conversion is None else price.conversion.unit_id,
        "price_unit": None if price.conversion is None else price.conversion.unit,
        "conversion_rate": None if price.conversion is None else price.conversion.rate,
        "cadence_unit": price.cadence.unit,
        "cadence_count": price.cadence.count,
        "timing": price.timing.value,
        "group_by": list(price.group_by),
        "trial_days": price.trial_days,
        "metadata": dict(price.metadata),
        "content_hash": price.content_hash,
        "replaces_id": price.replaces_id,
        "effective_from": price.effective_from,
        "effective_until": price.effective_until,
        "created_at": price.created_at,
        "updated_at": price.updated_at,
    }


CHECKS: Checks = {
    "display_name": lambda v: checks.text(required(v, "displayName"), "displayName"),
    "lookup_key": lambda v: None if v is None else checks.key(v, "lookupKey"),
    "group_id": lambda v: v,
    "metadata": NAMED["metadata"],
}
