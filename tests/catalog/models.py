"""Random price models and figures, for laws."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from app.catalog.prices import (
    Adjustments,
    Cell,
    Dynamic,
    Figures,
    Flat,
    Formula,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixRow,
    MeterFigure,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Tier,
    Transform,
    Variable,
    Volume,
    WindowFigure,
)
from app.metering.filters import Match
from app.metering.walk import fold

amounts = st.decimals(0, 1_000_000, places=6)
quantities = st.decimals(0, 10**12, places=9)
rates = st.decimals(0, 100, places=4)
zero_usages = st.sampled_from(["zero", "first_tier_flat"])
event_amounts = st.lists(st.decimals(0, 10_000, places=3), max_size=12)


def bounds():
    bounded = st.sets(st.decimals("0.001", 10**9, places=3), max_size=5)
    return bounded.map(lambda found: [*sorted(found), None])


@st.composite
def tier_lists(draw, *, flats=True):
    flat = amounts if flats else st.just(Decimal(0))
    return tuple(Tier(bound, draw(amounts), draw(flat)) for bound in draw(bounds()))


@st.composite
def percentage_tiers(draw):
    return tuple(PercentageTier(bound, draw(rates), draw(amounts)) for bound in draw(bounds()))


packages = st.builds(
    Package,
    amounts,
    st.decimals("0.001", 10**6, places=3),
    st.sampled_from(["up", "down"]),
    st.decimals(0, 10**6, places=3),
)
graduated = st.builds(Graduated, tier_lists(), zero_usages)
row_models = st.one_of(
    st.builds(PerUnit, amounts),
    packages,
    graduated,
    st.builds(Volume, tier_lists(), zero_usages),
    st.builds(GraduatedPercentage, percentage_tiers(), zero_usages),
    st.builds(Dynamic, amounts),
)
quantity_models = st.one_of(st.builds(Flat, amounts), row_models)


@st.composite
def percentages(draw):
    limits = sorted(draw(st.lists(st.decimals(0, 200, places=3), min_size=2, max_size=2)))
    low, high = (draw(st.sampled_from([None, limit])) for limit in limits)
    return Percentage(
        draw(st.one_of(st.just(Decimal(0)), rates)),
        draw(st.decimals(0, 50, places=3)),
        draw(st.none() | st.integers(0, 6)),
        draw(st.none() | st.decimals(0, 20_000, places=3)),
        low,
        high,
    )


VALUES = ["a", "b", "c", None]


@st.composite
def matrices(draw):
    def match():
        names = draw(st.lists(st.sampled_from(["cloud", "region"]), min_size=1, unique=True))
        values = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True)
        return tuple(Match(name, tuple(draw(values))) for name in names)

    rows = tuple(MatrixRow(match(), draw(row_models)) for _ in range(draw(st.integers(1, 3))))
    return Matrix(rows, draw(row_models), cells=draw(st.sampled_from(["together", "apart"])))


FORMULAS = [
    "input * 0.000003[USD/token] + output * 0.000015[USD/token]",
    "clamp(input * 0.01[USD/token], 1[USD], 500[USD])",
    "divide(input, output, 1) * 2.5[USD]",
    "if(input > 1000[token], round(input / 3, 2) * 0.1[USD/token], 10[USD] - 1[USD])",
    "graduated(input + output, 10[token]: 1[USD/token], 50[token]: 0.5[USD/token], 0.1[USD/token])",
    "lookup(output, 5[token]: 0[USD], 10[token]: 7[USD], 9[USD]) + input * 0[USD/token]",
    "max(input, output) / max(output, 1[token]) * 3[USD]",
]


def _formula(text):
    names = [name for name in ("input", "output") if name in text]
    return Formula.parsed(text, tuple(Variable(name, "token") for name in names))


formulas = st.sampled_from(FORMULAS).map(_formula)


@st.composite
def transforms(draw):
    factor = draw(st.decimals("0.001", 10**6, places=3))
    factors = draw(st.sampled_from([(factor, None), (None, factor)]))
    rounding = draw(st.sampled_from(["none", "up", "down", "half_up"]))
    return Transform(*factors, rounding, draw(st.integers(-3, 6)))


@st.composite
def limits(draw):
    low, high = sorted(draw(st.tuples(amounts, amounts)))
    return {
        "minimum": draw(st.sampled_from([None, low])),
        "maximum": draw(st.sampled_from([None, high])),
    }


@st.composite
def adjustments(draw):
    """Of a price of one quantity."""
    return Adjustments(
        transform=draw(st.none() | transforms()),
        free_units=draw(st.just(Decimal(0)) | quantities),
        bucket=draw(st.sampled_from([None, "hour", "day"])),
        **draw(limits()),
    )


START = datetime(2024, 1, 1, tzinfo=UTC)


@st.composite
def priced(draw):
    """A model, adjustments that go with it, and figures of the kind it needs."""
    model = draw(st.one_of(quantity_models, percentages(), matrices(), formulas))
    figures = Figures(draw(quantities), draw(st.integers(0, 1000)))
    match model:
        case Percentage():
            walked = draw(event_amounts)
            return (
                model,
                Adjustments(**draw(limits())),
                Figures(sum(walked, Decimal(0)), len(walked), tally=fold(model.walk, walked)),
            )
        case Matrix():
            cells = draw(st.lists(st.builds(_cell, st.just(model), values(), quantities)))
            return (
                model,
                Adjustments(**draw(limits())),
                Figures(Decimal(0), cells=model.complete(cells)),
            )
        case Formula():
            meters = {each.name: MeterFigure(draw(quantities)) for each in model.variables}
            return model, Adjustments(**draw(limits())), Figures(Decimal(0), meters=meters)
    terms = draw(adjustments())
    if terms.bucket is not None:
        counted = draw(st.lists(quantities, max_size=6))
        windows = tuple(
            WindowFigure(START + timedelta(hours=index), quantity)
            for index, quantity in enumerate(counted)
        )
        figures = Figures(
            sum(counted, Decimal(0)), windows=windows, empty_windows=draw(st.integers(0, 30))
        )
    return model, terms, figures


def values():
    return st.fixed_dictionaries(
        {"cloud": st.sampled_from(VALUES), "region": st.sampled_from(VALUES)}
    )


def _cell(model, found, quantity):
    apart = tuple(found[name] for name in model.dimensions) if model.cells == "apart" else ()
    return Cell(model.row_of(found), quantity, 1, apart)
