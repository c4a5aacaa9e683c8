"""Environment variables of processes that the stack starts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import app
from app.config import Settings, variables

_ROOT = str(Path(app.__file__).parent.parent)
# What a server may need of ours. Not more: an AWS_PROFILE or an HTTP_PROXY of the user would
# send a server's requests elsewhere.
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_CHOSEN_BY_COMMAND = ("deployment", "mode")
# A service is started again and again; compiling our modules each time would cost it seconds.
_NOT_PASSED_ON = ("PYTHONDONTWRITEBYTECODE",)


def of_a_server(**own: str) -> dict[str, str]:
    """The environment of a server: little of ours, and `own`."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | own


def of_a_python_server(**own: str) -> dict[str, str]:
    """The same, for a server that is a module of this program."""
    return of_a_server(**own) | {"PYTHONPATH": _with_root(), "PYTHONUNBUFFERED": "1"}


def of_a_service(settings: Settings) -> dict[str, str]:
    """The environment of a mode of this program that is to see exactly `settings`."""
    dropped = ("TARIFF_", *_NOT_PASSED_ON)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    kept = {k: v for k, v in os.environ.items() if k in ("TARIFF_CONFIG", "TARIFF_CRASH_AT")}
    return inherited | kept | as_variables(settings) | {"PYTHONPATH": _with_root()}


def as_variables(settings: Settings) -> dict[str, str]:
    """Every setting but the mode, as the TARIFF_* variable that says the same."""
    return {
        variable: _text(getattr(getattr(settings, section), key))
        for variable, (section, key, _) in variables()
        if (section, key) != _CHOSEN_BY_COMMAND
    }


def changed(before: Settings, after: Settings) -> dict[str, str]:
    """The TARIFF_* variables that tell `after` from `before`."""
    old: Mapping[str, str] = as_variables(before)
    return {name: text for name, text in as_variables(after).items() if old[name] != text}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(value)
    return msgspec.json.encode(value).decode()


def _with_root() -> str:
    present = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, [_ROOT, present]))
