"""What the terms of a price must fulfil together, beyond each being well-formed. Pure."""

from collections.abc import Mapping

from app.catalog.price import (
    LONGEST_TRIAL_DAYS,
    Billing,
    ChargeKind,
    InvoiceTiming,
    Price,
    substance_hash,
)
from app.catalog.prices import (
    Adjustments,
    Dynamic,
    Flat,
    Formula,
    GraduatedPercentage,
    Matrix,
    Percentage,
    PriceModel,
)
from app.kernel.errors import Invalid
from app.metering.aggregations import Sum
from app.metering.meter import Meter

# As callers spell them.
_USAGE_MODELS: dict[type[PriceModel], str] = {
    GraduatedPercentage: "graduatedPercentage",
    Dynamic: "dynamic",
    Percentage: "percentage",
    Matrix: "matrix",
    Formula: "formula",
}


def check_terms(price: Price, meters: Mapping[str, Meter]) -> None:
    """`meters` are those of the price's features, by the path of the input that names each.

    Raises: Invalid.
    """
    if price.charge is ChargeKind.USAGE:
        _check_usage(price)
    _check_trial(price)
    _check_grouping(price.group_by, meters)
    check_pricing(
        price.model,
        price.adjustments,
        charge=price.charge,
        currency=price.currency if price.conversion is None else price.conversion.unit,
        grouped=bool(price.group_by),
    )
    _check_model(price, meters)


def check_pricing(
    model: PriceModel,
    adjustments: Adjustments,
    *,
    charge: ChargeKind,
    currency: str,
    grouped: bool,
) -> None:
    """Whether model and adjustments go together, and with the kind of charge. Raises: Invalid."""
    fixed = charge is ChargeKind.FIXED
    name = _USAGE_MODELS.get(type(model))
    if fixed and name is not None:
        raise Invalid(
            f"model.{name}: only usage can be priced so; choose another model for a fixed charge",
            field=f"model.{name}",
            code="USAGE_MODEL",
        )
    if adjustments.of_quantity is not None and isinstance(model, Percentage | Matrix | Formula):
        raise _not_allowed(adjustments.of_quantity, f"a {model.kind} says by itself what it prices")
    if adjustments.bucket is not None and fixed:
        raise _not_allowed("bucket", "a fixed charge has no windows of usage")
    if adjustments.tiers_per == "total" and not grouped:
        raise _not_allowed("tiersPer", "the price is not grouped")
    if isinstance(model, Formula) and model.unit not in (None, currency):
        raise Invalid(
            f"model.formula.expression: its unit is {model.unit or 'none'}; it must come out in "
            f"{currency}, what the price's amounts are in",
            field="model.formula.expression",
            code="FORMULA_UNITS",
        )


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
            "model.flat: a flat amount is a fixed charge; price usage with another model",
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


def _check_grouping(group_by: tuple[str, ...], meters: Mapping[str, Meter]) -> None:
    for index, name in enumerate(group_by):
        field = f"groupBy[{index}]"
        _check_dimension(name, field, meters)
        if name in group_by[:index]:
            raise Invalid(
                f"{field}: {name!r} is named twice", field=field, code="DUPLICATE_DIMENSION"
            )


def _check_dimension(name: str, field: str, meters: Mapping[str, Meter]) -> None:
    """Every meter of the price keeps it, and there is one."""
    for dimensions in [meter.dimensions for meter in meters.values()] or [()]:
        if name not in dimensions:
            known = ", ".join(dimensions) if dimensions else "none"
            raise Invalid(
                f"{field}: {name!r} is not a dimension of the meter; it has: {known}",
                field=field,
                code="UNKNOWN_DIMENSION",
            )


def _check_model(price: Price, meters: Mapping[str, Meter]) -> None:
    match price.model:
        case Percentage() | Dynamic():
            _check_summed(price.model, meters)
        case Matrix():
            for index, row in enumerate(price.model.rows):
                for place, match in enumerate(row.match):
                    path = f"model.matrix.rows[{index}].match[{place}].dimension"
                    _check_dimension(match.property, path, meters)


def _check_summed(model: Percentage | Dynamic, meters: Mapping[str, Meter]) -> None:
    """What it prices are amounts that events carry."""
    meter = meters.get("featureId")
    if meter is not None and not isinstance(meter.aggregation, Sum):
        raise Invalid(
            f"featureId: a {model.kind} price needs a meter that sums an amount; "
            f"{meter.id} aggregates by {meter.aggregation.kind}",
            field="featureId",
            code="METER_NOT_SUMMED",
        )


def _not_allowed(name: str, why: str) -> Invalid:
    field = f"adjustments.{name}"
    return Invalid(f"{field}: {why}; leave it out", field=field, code="ADJUSTMENT_NOT_ALLOWED")


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
        conversion=price.conversion,
        cadence=price.cadence,
        timing=price.timing,
        group_by=price.group_by,
        trial_days=price.trial_days,
    )
