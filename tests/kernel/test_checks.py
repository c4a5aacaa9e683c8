import pytest

from app.kernel import checks
from app.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("check", "value", "code"),
    [
        (lambda v: checks.text(v, "name"), "  ", "INVALID_NAME"),
        (lambda v: checks.text(v, "externalId"), "x" * 256, "INVALID_EXTERNAL_ID"),
        (lambda v: checks.text(v, "name"), "a\x00b", "INVALID_NAME"),
        (lambda v: checks.key(v, "lookupKey"), "no blanks", "INVALID_LOOKUP_KEY"),
        (checks.email, "ada", "INVALID_EMAIL"),
        (checks.timezone, "Mars/Olympus", "INVALID_TIMEZONE"),
        (checks.currency, "usd", "INVALID_CURRENCY"),
        (checks.country, "Germany", "INVALID_COUNTRY"),
        (checks.metadata, {str(i): "x" for i in range(51)}, "INVALID_METADATA"),
        (checks.metadata, {"k": "x" * 513}, "INVALID_METADATA"),
        (checks.metadata, {"": "x"}, "INVALID_METADATA"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_a_stable_code(check, value, code):
    with pytest.raises(Invalid) as refused:
        check(value)
    assert refused.value.code == code
    assert refused.value.field in str(refused.value)


def test_the_code_of_a_nested_field_is_that_of_its_last_part():
    with pytest.raises(Invalid) as refused:
        checks.text("", "prices[3].lookupKey")
    assert (refused.value.code, refused.value.field) == (
        "INVALID_LOOKUP_KEY",
        "prices[3].lookupKey",
    )


def test_what_is_required_is_not_null():
    assert checks.required("", "name") == ""
    with pytest.raises(Invalid) as refused:
        checks.required(None, "name")
    assert (refused.value.code, refused.value.field) == ("REQUIRED", "name")


def test_a_patch_changes_only_what_can_be_changed():
    known = {"name": str.upper, "size": lambda value: value}
    assert checks.checked({"name": "a"}, known) == {"name": "A"}
    with pytest.raises(Invalid, match="what can: name, size") as refused:
        checks.checked({"name": "a", "colour": "red"}, known)
    assert (refused.value.code, refused.value.field) == ("UNKNOWN_FIELD", "colour")


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "a\udfffb", "\ude00\ud83d"])
def test_what_no_table_can_hold_is_not_storable(text):
    assert not checks.storable(text)


@pytest.mark.parametrize("text", ["", "a\tb\n", "\x7f", "\u00e9\ud7ff\ue000\U0010ffff"])
def test_every_other_text_is_storable(text):
    assert checks.storable(text)


def test_outer_blanks_go():
    assert checks.text("  Ada  ", "name") == "Ada"
