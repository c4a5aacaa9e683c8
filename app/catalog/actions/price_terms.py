"""What the terms of a price must fulfil together, beyond each being well-formed."""

from app.catalog.errors import Archived
from app.catalog.feature import Feature, FeatureStatus, FeatureType
from app.catalog.price import (
    LONGEST_TRIAL_DAYS,
    Billing,
    ChargeKind,
    InvoiceTiming,
    Price,
    substance_hash,
)
from app.catalog.prices import Flat
from app.catalog.reads import features
from app.kernel.errors import Invalid, NotFound
from app.kernel.scope import Scope
from app.metering import reads as meters
from app.metering.meter import Meter, MeterStatus


async def check_feature(scope: Scope, price: Price) -> Feature | None:
    """What a usage charge measures, which must be metered and in use; None for a fixed charge.

    Raises: Invalid, NotFound, Archived.
    """
    if price.charge is ChargeKind.FIXED:
        if price.feature_id is not None:
            raise Invalid(
                "featureId: a fixed charge measures nothing; leave it out",
                field="featureId",
                code="FEATURE_NOT_ALLOWED",
            )
        return None
    if price.feature_id is None:
        raise Invalid(
            "featureId: a usage charge needs the metered feature that it charges for",
            field="featureId",
            code="FEATURE_REQUIRED",
        )
    feature = await features.get(scope, price.feature_id, field="featureId")
    if feature.status is FeatureStatus.ARCHIVED:
        raise Archived("feature", feature.id, field="featureId")
    if feature.type is not FeatureType.METERED:
        raise Invalid(
            f"featureId: {feature.lookup_key} is {feature.type.value}; usage is charged for "
            "metered features",
            field="featureId",
            code="FEATURE_NOT_METERED",
        )
    return feature


async def metered_by(scope: Scope, price: Price) -> Meter | None:
    """The meter of a usage charge, which must be in use; None for a fixed charge.

    Raises: Invalid, NotFound, Archived.
    """
    feature = await check_feature(scope, price)
    if feature is None or feature.meter_id is None:
        return None
    meter = (await meters.by_ids(scope, [feature.meter_id])).get(feature.meter_id)
    if meter is None:
        raise NotFound("meter", feature.meter_id, field="featureId")
    if meter.status is MeterStatus.ARCHIVED:
        raise Archived("meter", meter.id, field="featureId")
    return meter


def check_terms(price: Price, meter: Meter | None) -> None:
    """Raises: Invalid."""
    if price.charge is ChargeKind.USAGE:
        _check_usage(price)
    _check_trial(price)
    _check_grouping(price.group_by, () if meter is None else meter.dimensions)


def _check_usage(price: Price) -> None:
    if price.timing is InvoiceTiming.ADVANCE:
        raise Invalid(
            "timing: usage is known when it has happened; charge it in arrears",
            field="timing",
            code="USAGE_IN_ADVANCE",
        )
    if price.billing is Billing.ONE_TIME:
        raise Invalid(
            "billing: usage is charged for every period; a charge that is made once is fixed",
            field="billing",
            code="ONE_TIME_USAGE",
        )
    if isinstance(price.model, Flat):
        raise Invalid(
            "model.flat: a flat amount is a fixed charge; price usage with perUnit, package, "
            "graduated or volume",
            field="model.flat",
            code="FLAT_USAGE",
        )


def _check_trial(price: Price) -> None:
    if not 0 <= price.trial_days <= LONGEST_TRIAL_DAYS:
        raise Invalid(
            f"trialDays: {price.trial_days} must lie between 0 and {LONGEST_TRIAL_DAYS}",
            field="trialDays",
            code="INVALID_TRIAL_DAYS",
        )
    recurring_fee = price.charge is ChargeKind.FIXED and price.billing is Billing.RECURRING
    if price.trial_days and not recurring_fee:
        raise Invalid(
            "trialDays: only a recurring fixed charge has a trial; leave it out",
            field="trialDays",
            code="TRIAL_NOT_ALLOWED",
        )


def _check_grouping(group_by: tuple[str, ...], dimensions: tuple[str, ...]) -> None:
    for index, name in enumerate(group_by):
        field = f"groupBy[{index}]"
        if name not in dimensions:
            known = ", ".join(dimensions) if dimensions else "none"
            raise Invalid(
                f"{field}: {name!r} is not a dimension of the meter; it has: {known}",
                field=field,
                code="UNKNOWN_DIMENSION",
            )
        if name in group_by[:index]:
            raise Invalid(
                f"{field}: {name!r} is named twice", field=field, code="DUPLICATE_DIMENSION"
            )


def hash_of(price: Price) -> str:
    """The content hash that the price's terms give."""
    return substance_hash(
        feature_id=price.feature_id,
        meter_id=price.meter_id,
        charge=price.charge,
        billing=price.billing,
        model=price.model,
        adjustments=price.adjustments,
        currency=price.currency,
        cadence=price.cadence,
        timing=price.timing,
        group_by=price.group_by,
        trial_days=price.trial_days,
    )
