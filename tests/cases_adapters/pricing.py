"""Runs the cases of pricing.json through the price models, adjustments and commitments.

Each adapter takes a case's `input` and gives what its `expected` may hold.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.catalog.prices import (
    NO_ADJUSTMENTS,
    Adjustments,
    Cell,
    Dynamic,
    Figures,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixRow,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    PriceModel,
    Step,
    Tier,
    Transform,
    Volume,
    WindowFigure,
)
from app.catalog.prices.charging import charge
from app.catalog.prices.delta import Progress
from app.catalog.prices.explanation import step
from app.catalog.prices.prorated_graduated import Change
from app.catalog.prices.prorated_graduated import trace as prorated_trace
from app.catalog.prices.tiers import holding
from app.metering.filters import Match
from app.metering.walk import fold
from app.subscriptions.commitments import NOTHING, Commitment, committed
from tests.cases_adapters.refusals import RefusedByDecision

Case = Mapping[str, Any]
Answer = Mapping[str, Fraction]
START = datetime(2024, 1, 1, tzinfo=UTC)


def model_of(kind: str, properties: Mapping[str, Any]) -> PriceModel:
    """The price model that a case's `model` and `properties` describe."""
    return _MODELS[kind](properties)


def priced(case: Case) -> Answer:
    return _of_case(model_of(case["model"], case["properties"]), case)


def tiered_by_another_quantity(case: Case) -> Answer:
    """The tier that holds `tier_select_quantity` prices the quantity."""
    if "tier_select_quantity" not in case:
        return priced(case)
    model = model_of("volume", case["properties"])
    assert isinstance(model, Volume)
    tier = model.tiers[holding(model.tiers, Decimal(case["tier_select_quantity"]))]
    alone = Tier(None, tier.unit_amount, tier.flat_amount)
    return _amount(Volume((alone,), model.zero_usage), _quantity(case))


def dimension(case: Case) -> Answer:
    """Every group is priced on its own by the row it belongs to."""
    model = model_of("dimension", case["properties"])
    if not isinstance(model, Matrix):  # there are no filters: the default prices every group
        amounts = [_amount(model, Decimal(group["quantity"])) for group in case["groups"]]
        return {"amount": sum((each["amount"] for each in amounts), Fraction(0))}
    cells = tuple(
        Cell(
            model.row_of(group["dimensions"]),
            Decimal(group["quantity"]),
            values=tuple(group["dimensions"].get(name) for name in model.dimensions),
        )
        for group in case["groups"]
    )
    return _amount(model, Decimal(0), cells=model.complete(cells))


def bucketed(case: Case) -> Answer:
    windows = tuple(
        WindowFigure(START + timedelta(hours=index), Decimal(quantity))
        for index, quantity in enumerate(case["bucket_quantities"])
    )
    model = _nested(case["properties"]["price"])
    return _amount(model, Decimal(0), Adjustments(bucket="hour"), windows=windows)


def transform_only(case: Case) -> Answer:
    converted = _transform(case["properties"]).trace(_counted(_quantity(case)))
    return {"amount": Fraction(converted.result)}


def transformed(case: Case) -> Answer:
    given = case["properties"]
    free = Decimal(given.get("free_units_after_transform", "0"))
    terms = Adjustments(transform=_transform(given["transform"]), free_units=free)
    return _amount(_nested(given["price"]), _quantity(case), terms)


def limits(case: Case) -> Answer:
    given = case["properties"]
    low, high = _optional(given, "min_amount"), _optional(given, "max_amount")
    if low is not None and high is not None and low > high:
        raise RefusedByDecision("minimum_above_maximum")
    return _of_case(_nested(given["price"]), case, Adjustments(minimum=low, maximum=high))


def delta(case: Case) -> Answer:
    given = case["properties"]
    before = Decimal(case["quantity_before"])
    progress = Progress(
        _nested(given["price"]),
        before or None,
        Decimal(given.get("discount_percent", "0")),
        _optional(given, "max_amount"),
    )
    return {"amount": Fraction(progress.trace(_quantity(case)).result)}


def flat(case: Case) -> Answer:
    """A flat amount does not depend on usage: the case's quantity, if any, is usage."""
    return _amount(Flat(Decimal(case["properties"]["amount"])), Decimal(1))


def commitment(case: Case) -> Answer:
    total = NOTHING
    for window in case["windows"]:
        model, terms = _nested(window["price"]), _commitment(window)
        worth = Decimal(0) if terms is None else terms.worth(model)
        base = model.amount(Decimal(window["quantity"]))
        total = total + committed(base, terms, worth).times(window.get("repeat", 1))
    return {
        "amount": total.amount,
        "utilized": total.utilized,
        "overage": total.overage,
        "true_up": total.true_up,
    }


def prorated_graduated(case: Case) -> Answer:
    changes = (
        Change(Decimal(event["units"]), Decimal(event["prorated_units"]))
        for event in case["events"]
    )
    model = model_of("graduated", case["properties"])
    assert isinstance(model, Graduated)
    return {"amount": Fraction(prorated_trace(model, changes).result)}


def _of_case(model: PriceModel, case: Case, terms: Adjustments = NO_ADJUSTMENTS) -> Answer:
    """Priced from the case's quantity, or from its events."""
    if "events" not in case:
        return _amount(model, _quantity(case), terms)
    amounts = [Decimal(event["amount"]) for event in case["events"]]
    tally = fold(model.walk, amounts) if isinstance(model, Percentage) else None
    return _amount(model, sum(amounts, Decimal(0)), terms, tally=tally)


def _amount(
    model: PriceModel, quantity: Decimal, terms: Adjustments = NO_ADJUSTMENTS, **figures: Any
) -> Answer:
    counted = Figures(quantity, **figures)
    return {"amount": Fraction(charge(model, terms, counted, _counted(quantity)).amount.result)}


def _counted(quantity: Decimal) -> Step:
    return step("counted", {"quantity": quantity}, quantity)


def _quantity(case: Case) -> Decimal:
    return Decimal(case.get("quantity", "1"))


def _nested(price: Mapping[str, Any]) -> Any:
    """A price inside another. There a flat amount does not depend on the quantity."""
    return model_of(price["model"], price["properties"])


def _optional(given: Mapping[str, Any], name: str) -> Decimal | None:
    return None if given.get(name) is None else Decimal(given[name])


def _commitment(window: Mapping[str, Any]) -> Commitment | None:
    amount, quantity = _optional(window, "commit_amount"), _optional(window, "commit_quantity")
    if amount is None and quantity is None:
        return None
    factor = Decimal(window.get("overage_factor", "1"))
    return Commitment(amount, quantity, factor, window.get("true_up", False))


def _transform(given: Mapping[str, Any]) -> Transform:
    return Transform(
        _optional(given, "multiply_by"),
        _optional(given, "divide_by"),
        given.get("round", "none"),
        given.get("precision", 0),
    )


def _tiers(properties: Mapping[str, Any]) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            None if tier["up_to"] is None else Decimal(tier["up_to"]),
            Decimal(tier.get("unit_amount", "0")),
            Decimal(tier.get("flat_amount", "0")),
        )
        for tier in properties["tiers"]
    )


def _percentage_tiers(properties: Mapping[str, Any]) -> tuple[PercentageTier, ...]:
    return tuple(
        PercentageTier(
            None if tier["up_to"] is None else Decimal(tier["up_to"]),
            Decimal(tier.get("rate_percent", "0")),
            Decimal(tier.get("flat_amount", "0")),
        )
        for tier in properties["tiers"]
    )


def _matrix(properties: Mapping[str, Any]) -> PriceModel:
    default = _nested(properties["default"])
    rows = tuple(
        MatrixRow(
            tuple(Match(name, tuple(values)) for name, values in each["match"].items()),
            _nested(each["price"]),
        )
        for each in properties["filters"]
    )
    return Matrix(rows, default, cells="apart") if rows else default


def _percentage(properties: Mapping[str, Any]) -> Percentage:
    low, high = (_optional(properties, f"{end}_per_event") for end in ("min", "max"))
    if low is not None and high is not None and low > high:
        raise RefusedByDecision("minimum_above_maximum")
    return Percentage(
        Decimal(properties["rate_percent"]),
        Decimal(properties.get("fixed_per_event") or "0"),
        properties.get("free_events"),
        _optional(properties, "free_amount"),
        low,
        high,
    )


_MODELS: dict[str, Callable[[Mapping[str, Any]], PriceModel]] = {
    "flat": lambda p: Graduated((Tier(None, flat_amount=Decimal(p["amount"])),), "first_tier_flat"),
    "per_unit": lambda p: PerUnit(Decimal(p["unit_amount"])),
    "package": lambda p: Package(
        Decimal(p["package_amount"]),
        Decimal(p["package_size"]),
        p.get("rounding", "up"),
        Decimal(p.get("free_units", "0")),
    ),
    "graduated": lambda p: Graduated(_tiers(p), p.get("zero_usage", "zero")),
    "volume": lambda p: Volume(_tiers(p), p.get("zero_usage", "zero")),
    "graduated_percentage": lambda p: GraduatedPercentage(
        _percentage_tiers(p), p.get("zero_usage", "zero")
    ),
    "percentage": _percentage,
    "event_amount": lambda p: Dynamic(Decimal(p.get("multiplier", "1"))),
    "dimension": _matrix,
}

ADAPTERS: dict[str, Callable[[Case], Answer]] = {
    "flat": flat,
    "per_unit": priced,
    "package": priced,
    "graduated": priced,
    "volume": tiered_by_another_quantity,
    "graduated_percentage": priced,
    "percentage": priced,
    "event_amount": priced,
    "dimension": dimension,
    "bucketed": bucketed,
    "transform_only": transform_only,
    "transformed": transformed,
    "limits": limits,
    "delta": delta,
    "commitment": commitment,
    "prorated_graduated": prorated_graduated,
}
