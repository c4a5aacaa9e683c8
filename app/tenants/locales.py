"""Locales as documents know them: how a language and region write numbers, money and days."""

import re
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global

from app.kernel import checks

# The scripts of the fonts that documents are printed in.
SCRIPTS = frozenset({"Latn", "Grek", "Cyrl"})
_SHAPE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?")


def check(value: str, field: str = "locale") -> str:
    """A BCP 47 tag of a locale that documents can be printed in, as it is spelled: `de-DE`.

    Raises: Invalid (INVALID_LOCALE).
    """
    if not _SHAPE.fullmatch(value):
        raise checks.invalid(field, f"{value!r} is not a locale such as en-US or de-DE")
    try:
        found = Locale.parse(value, sep="-")
    except (UnknownLocaleError, ValueError):
        raise checks.invalid(field, f"{value!r} is not a locale such as en-US or de-DE") from None
    if _script(found) not in SCRIPTS:
        raise checks.invalid(
            field, f"{value!r} is written in letters that documents are not printed in: Latin, "
            "Greek and Cyrillic ones are"
        )  # fmt: skip
    return str(found).replace("_", "-")


@cache
def babel_locale(tag: str) -> Locale:
    """Babel's locale of a tag that `check` has let pass."""
    return Locale.parse(tag, sep="-")


def _script(locale: Locale) -> str | None:
    if locale.script is not None:
        return str(locale.script)
    likely = get_global("likely_subtags")
    full = likely.get(str(locale)) or likely.get(locale.language)
    return None if full is None else str(full).split("_")[1]
