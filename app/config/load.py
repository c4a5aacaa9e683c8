"""Reads the settings: the file, then the environment; says everything that is wrong at once."""

import math
import os
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from app.config.rules import broken_rules
from app.config.settings import Mode, Secret, Settings, addresses
from app.config.wrong import PREFIX, ConfigError, unknown, variable, wrong_value

# Read by the program before or beside the settings.
_NOT_SETTINGS = {"TARIFF_CONFIG", "TARIFF_CRASH_AT"}
_EMPTY_MEANS_EMPTY = (str, Secret)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


def load(
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
    *,
    mode: Mode | None = None,
    overrides: Mapping[tuple[str, str], Any] | None = None,
) -> Settings:
    """The settings of this process. `mode` and `overrides`, from the command line, win.

    `path` defaults to TARIFF_CONFIG, else ./config.yaml where there is one. `overrides` are
    values by section and key.
    Raises: ConfigError, naming everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    chosen = path or (Path(environ["TARIFF_CONFIG"]) if environ.get("TARIFF_CONFIG") else None)
    problems: list[str] = []
    given = dict(_from_file(chosen or Path("config.yaml"), chosen is not None, environ, problems))
    given.update(_from_environment(environ, problems))
    last = {**(overrides or {}), **({("deployment", "mode"): mode} if mode else {})}
    given.update({key: _Given(value, "the command line") for key, value in last.items()})
    settings = _settings(given, problems)
    if not problems:
        problems.extend(broken_rules(settings))
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def require_servers(settings: Settings) -> None:
    """Refuse to start without the address of every server. Raises: ConfigError."""
    missing = [name for name, address in addresses(settings).items() if not address]
    if missing:
        names = ", ".join(variable(*name.split(".")) for name in missing)
        raise ConfigError(
            f"{', '.join(missing)}: empty, and mode {settings.deployment.mode} starts no servers. "
            f"Set {names}, or use `tariff local`."
        )


def variables() -> Iterator[tuple[str, tuple[str, str, Any]]]:
    """Every environment variable that is a setting: name → (section, key, type)."""
    for (section, key), kind in _kinds().items():
        yield variable(section, key), (section, key, kind)


@dataclass(frozen=True, slots=True)
class _Given:
    """A value somebody set, and where. `text`: it came as text and is read by its type."""

    value: Any
    source: str
    text: bool = False


_Key = tuple[str, str]


def _kinds() -> dict[_Key, Any]:
    return {
        (section, key): kind
        for section, cls in get_type_hints(Settings).items()
        for key, kind in get_type_hints(cls, include_extras=True).items()
    }


def _settings(given: Mapping[_Key, _Given], problems: list[str]) -> Settings:
    kinds = _kinds()
    values: dict[str, dict[str, Any]] = {}
    for (section, key), one in given.items():
        kind = kinds[section, key]
        if one.text and not one.value and kind not in _EMPTY_MEANS_EMPTY:
            continue  # `TARIFF_SERVER_PORT=`, as compose files write it: not set
        try:
            values.setdefault(section, {})[key] = _converted(one, kind)
        except (msgspec.ValidationError, yaml.YAMLError):
            problems.append(wrong_value(section, key, kind, value=one.value, source=one.source))
    sections = get_type_hints(Settings)
    if problems:
        return Settings()
    return Settings(**{name: sections[name](**keys) for name, keys in values.items()})


def _converted(one: _Given, kind: Any) -> Any:
    value = _parsed(one.value, kind) if one.text else one.value
    converted = msgspec.convert(value, kind)
    if isinstance(converted, float) and not math.isfinite(converted):
        raise msgspec.ValidationError("not finite")
    return converted


def _parsed(text: str, kind: Any) -> Any:
    base = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if base is str or get_origin(base) is Literal:
        return text
    if base == list[str]:
        return [part.strip() for part in text.split(",") if part.strip()]
    value = yaml.safe_load(text)
    # 1_000 and 0x10 are whole numbers to YAML too; "12" in quotes is not what anyone means.
    return float(value) if base is float and type(value) is int else value


def _from_environment(
    environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[_Key, _Given]]:
    known = dict(variables())
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS:
            continue
        if name not in known:
            problems.append(unknown("setting", name, list(known), "the environment"))
            continue
        section, key, _ = known[name]
        yield (section, key), _Given(text, name, text=True)


def _from_file(
    path: Path, required: bool, environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[_Key, _Given]]:
    kinds = _kinds()
    sections = list(get_type_hints(Settings))
    for section, keys in _tree(path, required).items():
        if section not in sections:
            problems.append(unknown("section", str(section), sections, str(path)))
        elif keys is not None and not isinstance(keys, dict):
            problems.append(f"{section} in {path} must hold keys, not {keys!r}.")
        else:
            known = [key for of, key in kinds if of == section]
            for key, value in (keys or {}).items():
                if key not in known:
                    where = f"section {section} of {path}"
                    problems.append(unknown("setting", str(key), known, where))
                elif value is not None:
                    yield (section, key), _resolved(value, str(path), environ, problems)


def _resolved(value: Any, source: str, environ: Mapping[str, str], problems: list[str]) -> _Given:
    """`value` with each `${VAR:default}` taken from the environment.

    Done after YAML is parsed, so that a password may hold any character.
    """
    if not isinstance(value, str) or not _REFERENCE.search(value):
        return _Given(value, source)

    def text(match: re.Match[str]) -> str:
        found = environ.get(match[1], match[2])
        if found is None:
            problems.append(
                f"{source} says ${{{match[1]}}} without a default, and {match[1]} is not set. "
                f"Set it, or write ${{{match[1]}:default}}."
            )
        return found or ""

    return _Given(_REFERENCE.sub(text, value), source, text=True)


def _tree(path: Path, required: bool) -> dict[Any, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        if required:
            raise ConfigError(
                f"{path}: there is no such configuration file. "
                "Correct TARIFF_CONFIG or --config, or create the file."
            ) from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {error}") from None
    try:
        tree = yaml.load(text, _NoTwins) or {}  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected sections such as `postgres:`, got {tree!r}")
    return tree


class _NoTwins(yaml.SafeLoader):
    """YAML where a name given twice is an error; PyYAML keeps the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.YAMLError(f"{key!r} is given twice{key_node.start_mark}")
            seen.add(key)
        return super().construct_mapping(node, deep)
