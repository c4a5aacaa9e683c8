"""The language of formulas: what is written is what is read, and it always has a value."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.prices import RULES, Formula, Variable, from_json, to_json
from app.catalog.prices.explanation import evaluate, holds
from app.catalog.prices.formulas import units
from app.catalog.prices.formulas.parser import parse
from app.catalog.prices.formulas.printing import written
from app.catalog.prices.formulas.ranges import range_of
from app.catalog.prices.formulas.syntax import (
    Arithmetic,
    Bound,
    Call,
    Choice,
    Constant,
    Reference,
    Round,
    Tiers,
    depth,
    walk,
)
from app.catalog.prices.warnings import warnings
from app.kernel.errors import Invalid
from tests.catalog.models import quantities

D = Decimal
TOKENS = (Variable("input", "token"), Variable("output", "token"))

# Every tree, whatever its units: pure numbers only, so that units never stand in the way.
numbers = st.decimals(-1000, 1000, places=3).map(Constant)
names = st.sampled_from(["input", "output"]).map(Reference)


def grown(parts):
    bounds = st.sets(st.decimals("0.1", 100, places=1), min_size=1, max_size=3).map(sorted)
    steps = bounds.flatmap(
        lambda found: st.tuples(*(st.builds(Bound, st.just(Constant(b)), parts) for b in found))
    )
    return st.one_of(
        st.builds(Arithmetic, st.sampled_from("+-*/"), parts, parts),
        st.builds(
            Call,
            st.sampled_from(["min", "max"]),
            st.lists(parts, min_size=2, max_size=3).map(tuple),
        ),
        st.builds(Call, st.sampled_from(["clamp", "divide"]), st.tuples(parts, parts, parts)),
        st.builds(Round, st.sampled_from(["ceil", "floor", "round"]), parts, st.integers(0, 4)),
        st.builds(
            Choice,
            st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), parts, parts, parts, parts,
        ),
        st.builds(Tiers, st.sampled_from(["lookup", "graduated"]), parts, steps, parts),
    )  # fmt: skip


trees = st.recursive(numbers | names, grown, max_leaves=12)


def formula(text, *variables):
    return Formula.parsed(text, variables or TOKENS)


def let_in(text, variables):
    try:
        return Formula.parsed(text, variables)
    except Invalid as error:
        if error.code in ("FORMULA_DIVISION", "FORMULA_TOO_LARGE"):
            return None
        raise


def value(text, **named):
    variables = tuple(Variable(name, "token") for name in named)
    counted = {name: D(quantity) for name, quantity in named.items()}
    return Fraction(formula(text, *variables).amount(counted))


@given(trees)
def test_what_is_written_is_read_as_the_same_tree(tree):
    assert parse(written(tree)) == tree


@given(trees, quantities, quantities)
def test_every_formula_that_is_let_in_has_a_value_in_its_range_and_explains_it(tree, one, other):
    """Made pure numbers by dividing the meters by a token, so that any tree may be tried."""
    named = {node.name for node in walk(tree) if isinstance(node, Reference)}
    if not named:
        return
    text = written(tree)
    for name in named:
        text = text.replace(name, f"({name} / 1[token])")
    variables = tuple(Variable(name, "token") for name in sorted(named))
    model = let_in(text, variables)
    if model is None:
        return
    counted = {"input": one, "output": other}
    trace = model.trace(counted)
    found = Fraction(trace.result)
    assert evaluate(trace, RULES) == found == Fraction(model.amount(counted)) >= 0
    assert holds(trace, RULES)
    inner, bounds = Fraction(trace.parts[0].result), range_of(model.expression)
    assert bounds.low is None or bounds.low <= inner
    assert bounds.high is None or inner <= bounds.high
    assert found == max(inner, 0)
    assert model.may_be_negative or inner >= 0
    assert from_json(json.dumps(to_json(model))) == model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input * 2", 14),
        ("-input + 10[token]", 3),
        ("input - 2[token] - 1[token]", 4),
        ("input / 2 / 2", Fraction(7, 4)),
        ("2[token] + input * 3", 23),
        ("(2[token] + input) * 3", 27),
        ("min(input, 3[token], 5[token])", 3),
        ("max(input, 0)", 7),
        ("clamp(input, 8[token], 9[token])", 8),
        ("clamp(input, 0[token], 5[token])", 5),
        ("divide(input, input - 7[token], 4)", 4),
        ("divide(input, input - 6[token], 4)", 7),
        ("ceil(input / 2)", 4),
        ("floor(input / 2)", 3),
        ("round(input / 2)", 4),
        ("round(input / 8, 2)", Fraction(88, 100)),
        ("if(input >= 7[token], 1, 2)", 1),
        ("if(input != 7[token], 1, 2)", 2),
        ("lookup(input, 7[token]: 1, 9[token]: 2, 3)", 1),
        ("lookup(input * 2, 7[token]: 1, 9[token]: 2, 3)", 3),
        ("graduated(input, 5[token]: 2, 6[token]: 3, 4)", 10 + 3 + 4),
        ("graduated(0 - input, 5[token]: 2, 4) + 1[token]", 1),
        ("input - 100[token]", 0),
    ],
)
def test_a_formula_is_worth_what_it_says(text, expected):
    assert value(text, input="7") == expected


def test_a_price_of_tokens_in_and_out_comes_out_in_its_currency():
    text = "input * 3[USD/Mtoken] / 1000000[token/Mtoken] + output*0.000015[USD/token]"
    model = formula(text)
    assert model.unit == "USD"
    assert model.text == (
        "input * 3[USD/Mtoken] / 1000000[token/Mtoken] + output * 0.000015[USD/token]"
    )
    assert model.amount({"input": D(2_000_000), "output": D(100_000)}) == D("7.5")
    assert not model.may_be_negative
    assert warnings(model) == []


def test_what_may_come_out_below_zero_is_warned_about_and_charged_as_nothing():
    model = formula("input * 1[USD/token] - output * 1[USD/token]")
    assert [(each.code, each.field) for each in warnings(model)] == [
        ("FORMULA_MAY_BE_NEGATIVE", "model.formula.expression")
    ]
    assert model.amount({"input": D(1), "output": D(5)}) == 0


def test_a_meter_that_nets_below_zero_counts_as_nothing():
    assert value("input * 1[USD/token] + 2[USD]", input="-4") == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "character 1: the end is given where a number, a name or `(` belongs"),
        ("input +", "character 8: the end is given"),
        ("input input", "character 7: `input` is given where an operator or the end belongs"),
        ("input $ 2", "character 7: `$` is given where a number, a name or an operator belongs"),
        ("(input", "character 7: the end is given where `)` belongs"),
        ("sqrt(input)", "`sqrt` is no function"),
        ("input(2)", "`input` is no function"),
        ("min(input)", "character 10: `)` is given where `,` belongs"),
        ("clamp(input, 1)", "character 15: `)` is given where `,` belongs"),
        ("divide(input, 1)", "where `,` belongs"),
        ("divide(1, 2, 3, 4)", "where `)` belongs"),
        ("if(input, 1, 2)", "where a comparison belongs"),
        ("lookup(input, 2)", "where `:` and the value up to that bound belongs"),
        ("lookup(input, input: 2, 3)", "character 15: `:` is given where a number as the bound"),
        ("round(input, 2.5)", "where a whole number of decimals belongs"),
        ("1.input", "where"),
        ("__import__('os')", "`__import__` is no function"),
        ("input ** 2", "where a number, a name or `(` belongs"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_place(text, said):
    with pytest.raises(Invalid) as refused:
        formula(text)
    assert (refused.value.code, refused.value.field) == ("FORMULA_SYNTAX", "expression")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "field", "code"),
    [
        ("input + output * 2[USD]", "expression", "FORMULA_UNITS"),
        ("input + output + 1", "expression", "FORMULA_UNITS"),
        ("if(input > 5, output, output)", "expression", "FORMULA_UNITS"),
        ("if(input > output, input, 1[USD])", "expression", "FORMULA_UNITS"),
        ("lookup(input, 5: output, output)", "expression", "FORMULA_UNITS"),
        ("divide(input, output, 1[USD])", "expression", "FORMULA_UNITS"),
        ("input * 1[USD//token] + output", "expression", "INVALID_UNIT"),
        ("input * 1[USD/5] + output", "expression", "INVALID_UNIT"),
        (f"input * 1[{'x' * 65}] + output", "expression", "INVALID_UNIT"),
        ("input * input * " * 5 + "output", "expression", "INVALID_UNIT"),
        ("input / output", "expression", "FORMULA_DIVISION"),
        ("input / (output - 1[token])", "expression", "FORMULA_DIVISION"),
        ("(input + output) / 0", "expression", "FORMULA_DIVISION"),
        ("input / min(output, 1[token])", "expression", "FORMULA_DIVISION"),
        ("input / max(output, 0)", "expression", "FORMULA_DIVISION"),
        ("input + output + third", "expression", "UNKNOWN_VARIABLE"),
        ("input", "variables[1].name", "UNUSED_VARIABLE"),
        ("round(input, 19) + output", "expression", "INVALID_PRECISION"),
        ("lookup(input, 5[token]: 1, 5[token]: 2, output)", "expression", "TIERS_NOT_ASCENDING"),
        ("graduated(input, 0[token]: 1, 3) + output", "expression", "TIERS_NOT_ASCENDING"),
        ("input + output * 1" + "0" * 18, "expression", "TOO_MANY_DIGITS"),
        ("(" * 31 + "input + output" + ")" * 31, "expression", "FORMULA_TOO_LARGE"),
        ("-" * 31 + "input", "expression", "FORMULA_TOO_LARGE"),
        ("input + output" + " + output" * 120, "expression", "FORMULA_TOO_LARGE"),
        ("input + output" + " " * 4000, "expression", "FORMULA_TOO_LARGE"),
    ],
)
def test_a_formula_that_must_not_be_is_refused(text, field, code):
    with pytest.raises(Invalid) as refused:
        formula(text)
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize(
    ("variables", "field", "code"),
    [
        ((), "variables", "INVALID_VARIABLES"),
        (tuple(Variable(f"v{n}", "token") for n in range(11)), "variables", "INVALID_VARIABLES"),
        ((Variable("max", "token"),), "variables[0].name", "INVALID_VARIABLE_NAME"),
        ((Variable("1st", "token"),), "variables[0].name", "INVALID_VARIABLE_NAME"),
        ((Variable("x", "token"),) * 2, "variables[1].name", "DUPLICATE_VARIABLE"),
        ((Variable("x", ""),), "variables[0].unit", "INVALID_UNIT"),
        ((Variable("x", "to ken?"),), "variables[0].unit", "INVALID_UNIT"),
    ],
)
def test_variables_that_cannot_be_are_refused(variables, field, code):
    with pytest.raises(Invalid) as refused:
        Formula.parsed("x", variables)
    assert (refused.value.field, refused.value.code) == (field, code)


powers = st.dictionaries(st.sampled_from(["USD", "token", "m_2"]), st.integers(1, 9))


@given(powers, st.data())
def test_a_unit_is_written_as_it_is_read(found, data):
    unit = {name: data.draw(st.sampled_from([power, -power])) for name, power in found.items()}
    assert units.parse(units.written(unit)) == unit


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("USD / token", "USD/token"),
        ("token*USD", "USD*token"),
        ("USD/token/hour", "USD/hour/token"),
        ("m*m", "m^2"),
        ("1/s", "1/s"),
        ("USD*s/s", "USD"),
        ("s/s", ""),
    ],
)
def test_equal_units_have_one_spelling(text, canonical):
    assert units.written(units.parse(text)) == canonical


def test_the_largest_formulas_are_still_worked_out():
    text = "graduated(input, 1[token]: 1[USD/token], 2[USD/token])"
    model = formula(" + ".join([text] * 33), Variable("input", "token"))
    assert depth(model.expression) == 34
    assert Fraction(model.amount({"input": D("9" * 38)})) == 33 * (1 + 2 * (int("9" * 38) - 1))
