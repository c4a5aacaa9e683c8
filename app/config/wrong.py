"""How a wrong setting is told: its key, its value unless it is secret, and what would be right."""

from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from msgspec import Meta

from app.config.settings import is_secret

PREFIX = "TARIFF_"


class ConfigError(Exception):
    """Settings are missing, unknown or wrong: one line each, with the key, value and fix."""


def variable(section: str, key: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{section}_{key}".upper()


def expected(kind: Any) -> str:
    """What a setting of this type accepts, to be read after "must be"."""
    bounds = ""
    if hasattr(kind, "__metadata__"):
        bounds = "".join(_bounds(m) for m in kind.__metadata__ if isinstance(m, Meta))
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if kind == dict[str, bool]:
        return "a map such as {name: true}"
    if kind == dict[str, list[str]]:
        return "a map such as {name: [one, two]}"
    if kind == list[str]:
        return "a list of texts (in a variable: separated by commas)"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names[kind] + bounds


def _bounds(meta: Meta) -> str:
    if meta.gt is not None:
        return f" above {meta.gt}"
    if meta.ge is not None and meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    return f" of at least {meta.ge}" if meta.ge is not None else ""


def wrong_value(section: str, key: str, kind: Any, *, value: object, source: str) -> str:
    """The line about a value of the wrong type or outside its bounds."""
    shown = "(not shown)" if is_secret(kind) else f"{value!r}"
    hint = ""
    if expected(kind) == "text" and not isinstance(value, dict | list):
        hint = "; put it in quotes"
    name = variable(section, key)
    other = "" if source == name else f", or set {name}"
    return (
        f"{section}.{key} is {shown} in {source}: it must be {expected(kind)}{hint}. "
        f"Correct it there{other}."
    )


def unknown(what: str, name: str, known: list[str], source: str) -> str:
    """The line about a name that is no setting, with the names it may have meant."""
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    meant = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
    return f"{name} in {source} is not a {what}. {meant}"
