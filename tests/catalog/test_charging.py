"""Laws of models with their adjustments: what is charged, and how it is explained."""

import json
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import (
    NO_ADJUSTMENTS,
    RULES,
    Adjustments,
    Cell,
    Figures,
    Graduated,
    Matrix,
    MatrixRow,
    Package,
    PerUnit,
    Tier,
    Transform,
    Volume,
    WindowFigure,
    adjustments_from_json,
    from_json,
    to_json,
)
from app.catalog.prices.charging import charge, shared
from app.catalog.prices.explanation import evaluate, holds, step
from app.catalog.prices.needs import Needs, needs
from app.catalog.prices.warnings import warnings
from app.kernel.errors import Invalid
from app.kernel.quantity import fraction_rounded
from app.metering.filters import Match
from app.metering.walk import Walk, fold
from tests.catalog import models

D = Decimal


def counted(quantity):
    return step("windowed", {"start": None, "quantity": quantity}, quantity)


def charged(model, terms=NO_ADJUSTMENTS, *, quantity=Decimal(0), **figures):
    found = charge(model, terms, Figures(quantity, **figures), counted(quantity))
    return Fraction(found.amount.result)


@given(models.priced())
def test_evaluating_the_trace_of_any_charge_gives_its_amount(drawn):
    model, terms, figures = drawn
    found = charge(model, terms, figures, counted(figures.quantity))
    for tree in (found.amount, found.quantity):
        assert evaluate(tree, RULES) == Fraction(tree.result)
        assert holds(tree, RULES)
    forged = msgspec.structs.replace(found.amount, result=str(Fraction(found.amount.result) + 1))
    assert not holds(forged, RULES)


@given(models.priced())
def test_a_charge_lies_between_its_limits_and_never_below_zero(drawn):
    model, terms, figures = drawn
    amount = Fraction(charge(model, terms, figures, counted(figures.quantity)).amount.result)
    assert amount >= 0
    assert terms.minimum is None or amount >= terms.minimum
    assert terms.maximum is None or amount <= terms.maximum


@given(models.priced())
def test_models_and_adjustments_survive_their_json(drawn):
    model, terms, _ = drawn
    assert from_json(json.dumps(to_json(model))) == model
    assert adjustments_from_json(json.dumps(to_json(terms))) == terms


@given(models.quantity_models, models.quantities, models.quantities)
def test_free_units_are_those_that_come_off_the_quantity(model, quantity, free):
    terms = Adjustments(free_units=free)
    left = max(quantity - free, D(0))
    assert charged(model, terms, quantity=quantity) == charged(model, quantity=left)


@given(models.quantity_models, models.transforms(), models.quantities)
def test_a_transform_changes_the_quantity_before_free_units(model, transform, quantity):
    converted = Fraction(quantity) * Fraction(transform.multiply_by or 1)
    converted /= Fraction(transform.divide_by or 1)
    scale = Fraction(10) ** transform.precision
    low = converted * scale // 1 / scale
    expected = {
        "none": converted,
        "down": low,
        "up": low if low == converted else low + 1 / scale,
        "half_up": Fraction(fraction_rounded(converted, transform.precision)),
    }[transform.round]
    found = transform.trace(counted(quantity))
    assert Fraction(found.result) == expected
    terms = Adjustments(transform=transform, free_units=D(1))
    assert charged(model, terms, quantity=quantity) == Fraction(
        model.amount(max(expected - 1, Fraction(0)))
    )


def test_a_quantity_without_an_exact_decimal_is_priced_as_the_fraction_it_is():
    terms = Adjustments(transform=Transform(divide_by=D(3600)))
    tiers = (Tier(D(1), D(6)), Tier(None, D(3), D(1)))
    assert charged(Graduated(tiers), terms, quantity=D(4000)) == 7 + Fraction(1, 9) * 3
    assert charged(PerUnit(D("0.01")), terms, quantity=D(1)) == Fraction(1, 360_000)


@given(models.quantity_models, st.lists(models.quantities, max_size=8), st.integers(0, 20))
def test_windows_are_priced_each_on_its_own_and_empty_ones_as_nothing_used(
    model, quantities, empty
):
    windows = tuple(
        WindowFigure(models.START + timedelta(hours=index), quantity)
        for index, quantity in enumerate(quantities)
    )
    found = charged(model, Adjustments(bucket="hour"), windows=windows, empty_windows=empty)
    parts = sum((Fraction(model.amount(quantity)) for quantity in quantities), start=Fraction(0))
    assert found == parts + empty * Fraction(model.amount(D(0)))


def test_packages_restart_in_every_window_and_the_limits_hold_for_the_sum():
    windows = tuple(
        WindowFigure(models.START + timedelta(days=day), D(quantity))
        for day, quantity in enumerate(["50", "150", "200", "99"])
    )
    terms = Adjustments(bucket="day", free_units=D(50), maximum=D(12))
    model = Package(D(5), D(100))
    assert charged(model, Adjustments(bucket="day"), windows=windows) == 30
    assert charged(model, Adjustments(bucket="day", free_units=D(50)), windows=windows) == 20
    assert charged(model, terms, windows=windows) == 12


@given(
    models.amounts,
    st.lists(models.quantities, min_size=1, max_size=9).filter(any),
    st.sampled_from([0, 2, 3]),
)
def test_a_shared_charge_is_shared_out_completely_and_in_proportion(amount, quantities, decimals):
    whole = PerUnit(amount).trace(D(1))
    parts = shared(whole, quantities, decimals=decimals)
    unit = Fraction(10) ** -decimals
    assert sum((Fraction(part.result) for part in parts), start=Fraction(0)) == Fraction(
        fraction_rounded(Fraction(amount), decimals)
    )
    for part, quantity in zip(parts, quantities, strict=True):
        exact = Fraction(amount) * Fraction(quantity) / Fraction(sum(quantities))
        assert abs(Fraction(part.result) - exact) <= unit
        assert quantity or Fraction(part.result) == 0
        assert holds(part, RULES)


def cloud(*rows, default="0.12", cells="together", **fields):
    return Matrix(
        tuple(MatrixRow((Match("cloud", values),), model) for values, model in rows),
        PerUnit(D(default)),
        cells=cells,
        **fields,
    )


def test_usage_belongs_to_the_first_row_that_matches_and_else_to_the_default():
    model = Matrix(
        (
            MatrixRow((Match("cloud", ("aws",)), Match("region", ("eu", "us"))), PerUnit(D(1))),
            MatrixRow((Match("cloud", ("aws", "gcp")),), PerUnit(D(2))),
        ),
        PerUnit(D(3)),
    )
    found = {
        (cloud, region): model.row_of({"cloud": cloud, "region": region})
        for cloud in ("aws", "gcp", None)
        for region in ("eu", None)
    }
    assert found == {
        ("aws", "eu"): 0,
        ("aws", None): 1,
        ("gcp", "eu"): 1,
        ("gcp", None): 1,
        (None, "eu"): None,
        (None, None): None,
    }
    assert model.dimensions == ("cloud", "region")
    cells = [Cell(0, D(10)), Cell(1, D(20)), Cell(None, D(30))]
    assert charged(model, cells=model.complete(cells)) == 10 + 40 + 90


def test_what_matches_a_row_is_priced_together_or_apart():
    tiers = Graduated((Tier(D(100), D(1)), Tier(None, D("0.5"))))
    together = cloud((("aws", "gcp"), tiers))
    apart = cloud((("aws", "gcp"), tiers), cells="apart")
    assert charged(together, cells=together.complete([Cell(0, D(160))])) == 130
    split = [Cell(0, D(80), 1, ("aws",)), Cell(0, D(80), 1, ("gcp",))]
    assert charged(apart, cells=apart.complete(split)) == 160


def test_a_row_that_charges_where_nothing_was_used_does_so_once():
    base = Graduated((Tier(None, D(1), D(5)),), "first_tier_flat")
    model = cloud((("aws",), base), (("gcp",), base))
    assert charged(model, cells=model.complete([Cell(1, D(2))])) == 5 + 7
    assert model.complete([Cell(0, D(1)), Cell(1, D(1))]) == (Cell(0, D(1)), Cell(1, D(1)))


def test_a_row_that_nets_below_zero_charges_nothing_and_takes_nothing_from_the_others():
    model = cloud((("aws",), PerUnit(D(1))))
    assert charged(model, cells=[Cell(0, D(-5)), Cell(None, D(100))]) == 12


@given(models.percentages(), models.event_amounts)
def test_a_percentage_is_the_sum_of_what_each_event_costs(model, events):
    """The oracle walks event by event, with fractions."""
    total, left, running = Fraction(0), Fraction(model.free_amount or 0), Fraction(0)
    for index, amount in enumerate(map(Fraction, events)):
        running += amount
        within = model.free_events is None or index < model.free_events
        drawn = min(amount, left) if within else Fraction(0)
        if model.free_amount is None:
            drawn = amount if model.free_events is not None and within else Fraction(0)
        else:
            left -= drawn
        below = model.free_amount is None or running < model.free_amount
        if within and below and (model.free_events, model.free_amount) != (None, None):
            assert drawn == amount
            continue
        cost = (amount - drawn) * Fraction(model.rate_percent) / 100
        cost += Fraction(model.fixed_per_event)
        if model.min_per_event is not None:
            cost = max(cost, Fraction(model.min_per_event))
        if model.max_per_event is not None:
            cost = min(cost, Fraction(model.max_per_event))
        total += cost
    assert Fraction(model.amount(fold(model.walk, events))) == total


def test_prices_say_what_has_to_be_known_of_usage():
    terms = Adjustments(bucket="day", tiers_per="total")
    assert needs(PerUnit(D(1)), terms, grouped=True) == Needs(bucket="day", whole=True)
    assert needs(PerUnit(D(1)), terms, grouped=False) == Needs(bucket="day")
    apart = cloud((("aws",), PerUnit(D(1))), cells="apart")
    rows = ((Match("cloud", ("aws",)),),)
    assert needs(apart, NO_ADJUSTMENTS, grouped=False) == Needs(rows=rows, apart=("cloud",))
    fees = from_json('{"model":"percentage","rate_percent":"1","free_events":3}')
    assert needs(fees, NO_ADJUSTMENTS, grouped=True) == Needs(walk=Walk(3))


def test_tiers_whose_total_falls_are_warned_about():
    falling = Volume((Tier(D(10), D(1)), Tier(D(20), D("0.5"), D(5)), Tier(None, D("0.1"))))
    found = [(each.code, each.field, each.message) for each in warnings(falling)]
    assert found == [
        (
            "VOLUME_NOT_MONOTONE",
            "model.volume.tiers[2]",
            "just above 20 units the total falls from 15 to 2",
        )
    ]
    assert warnings(Volume((Tier(D(10), D(1)), Tier(None, D(1), D(1))))) == []


@given(models.tier_lists(), st.data())
def test_volume_tiers_without_a_warning_never_fall(tiers, data):
    model = Volume(tiers)
    if warnings(model):
        return
    one, other = sorted(data.draw(st.tuples(models.quantities, models.quantities)))
    assert model.amount(one) <= model.amount(other)


def test_a_row_that_can_never_match_is_warned_about():
    wide = cloud((("aws", "gcp"), PerUnit(D(1))), (("aws",), PerUnit(D(2))))
    assert [(each.code, each.field) for each in warnings(wide)] == [
        ("MATRIX_ROW_UNREACHABLE", "model.matrix.rows[1]")
    ]
    assert warnings(cloud((("aws",), PerUnit(D(1))), (("aws", "gcp"), PerUnit(D(2))))) == []


def row(*values, name=None):
    return MatrixRow((Match("cloud", values),), PerUnit(D(1)), name)


@pytest.mark.parametrize(
    ("make", "field", "code"),
    [
        (lambda: Transform(), "transform", "INVALID_TRANSFORM"),
        (lambda: Transform(D(1), D(1)), "transform", "INVALID_TRANSFORM"),
        (lambda: Transform(D(0)), "transform.multiplyBy", "NOT_POSITIVE"),
        (lambda: Transform(None, D(-1)), "transform.divideBy", "NEGATIVE_AMOUNT"),
        (lambda: Transform(D(1), None, "nearest"), "transform.round", "INVALID_ROUNDING"),
        (lambda: Transform(D(1), None, "up", 19), "transform.precision", "INVALID_PRECISION"),
        (lambda: Adjustments(free_units=D(-1)), "freeUnits", "NEGATIVE_AMOUNT"),
        (
            lambda: Adjustments(minimum=D(2), maximum=D(1)),
            "minimum",
            "MINIMUM_ABOVE_MAXIMUM",
        ),
        (lambda: Adjustments(bucket="year"), "bucket", "INVALID_BUCKET"),
        (lambda: Adjustments(tiers_per="row"), "tiersPer", "INVALID_TIERS_PER"),
        (lambda: Matrix((), PerUnit(D(1))), "rows", "INVALID_ROWS"),
        (lambda: Matrix((row("a"),) * 201, PerUnit(D(1))), "rows", "INVALID_ROWS"),
        (
            lambda: Matrix((row(*[f"{n:0250}" for n in range(40)]),), PerUnit(D(1))),
            "rows",
            "INVALID_ROWS",
        ),
        (lambda: cloud(((), PerUnit(D(1)))), "rows[0].match[0].values", "INVALID_VALUES"),
        (
            lambda: cloud((("a" * 256,), PerUnit(D(1)))),
            "rows[0].match[0].values",
            "INVALID_VALUES",
        ),
        (
            lambda: Matrix((MatrixRow((), PerUnit(D(1))),), PerUnit(D(1))),
            "rows[0].match",
            "REQUIRED",
        ),
        (
            lambda: Matrix(
                (MatrixRow((Match("a", ("x",)), Match("a", ("y",))), PerUnit(D(1))),),
                PerUnit(D(1)),
            ),
            "rows[0].match[1].dimension",
            "DUPLICATE_DIMENSION",
        ),
        (
            lambda: Matrix(
                tuple(MatrixRow((Match(f"d{n}", ("x",)),), PerUnit(D(1))) for n in range(6)),
                PerUnit(D(1)),
            ),
            "rows",
            "TOO_MANY_DIMENSIONS",
        ),
        (
            lambda: Matrix((row("a"), row("b", name=" ")), PerUnit(D(1))),
            "rows[1].displayName",
            "INVALID_DISPLAY_NAME",
        ),
        (
            lambda: Matrix((row("a"),), PerUnit(D(1)), "x" * 256),
            "defaultName",
            "INVALID_DEFAULT_NAME",
        ),
        (lambda: cloud((("a",), PerUnit(D(1))), cells="some"), "cells", "INVALID_CELLS"),
    ],
)
def test_terms_that_cannot_be_priced_are_refused(make, field, code):
    with pytest.raises(Invalid) as refused:
        make()
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"rate_percent": "-1"}, "ratePercent", "NEGATIVE_AMOUNT"),
        ({"fixed_per_event": "NaN"}, "fixedPerEvent", "NOT_FINITE"),
        ({"free_events": -1}, "freeEvents", "INVALID_COUNT"),
        ({"free_amount": "-1"}, "freeAmount", "NEGATIVE_AMOUNT"),
        ({"min_per_event": "2", "max_per_event": "1"}, "minPerEvent", "MINIMUM_ABOVE_MAXIMUM"),
    ],
)
def test_a_percentage_that_cannot_be_priced_is_refused(fields, field, code):
    with pytest.raises(Invalid) as refused:
        from_json(json.dumps({"model": "percentage", "rate_percent": "1"} | fields))
    assert (refused.value.field, refused.value.code) == (field, code)
