"""What the terms of a price must fulfil together, beyond each being well-formed."""

from app.catalog.errors import Archived
from app.catalog.feature import Feature, FeatureStatus, FeatureType
from app.catalog.price import ChargeKind, InvoiceTiming, Price, substance_hash
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
        if price.timing is InvoiceTiming.ADVANCE:
            raise Invalid(
                "timing: usage is known when it has happened; charge it in arrears",
                field="timing",
                code="USAGE_IN_ADVANCE",
            )
        if isinstance(price.model, Flat):
            raise Invalid(
                "model.flat: a flat amount is a fixed charge; price usage with perUnit, package, "
                "graduated or volume",
                field="model.flat",
                code="FLAT_USAGE",
            )
    dimensions = () if meter is None else meter.dimensions
    if price.group_by is not None and price.group_by not in dimensions:
        known = ", ".join(dimensions) if dimensions else "none"
        raise Invalid(
            f"groupBy: {price.group_by!r} is not a dimension of the meter; it has: {known}",
            field="groupBy",
            code="UNKNOWN_DIMENSION",
        )


def hash_of(price: Price) -> str:
    """The content hash that the price's terms give."""
    return substance_hash(
        feature_id=price.feature_id,
        meter_id=price.meter_id,
        charge=price.charge,
        model=price.model,
        currency=price.currency,
        cadence=price.cadence,
        timing=price.timing,
        group_by=price.group_by,
    )
