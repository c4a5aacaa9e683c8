"""The settings of a command, which may find a local stack that runs beside it."""

import argparse
from collections.abc import Collection
from pathlib import Path

from app.config import ConfigError, Settings, addresses, load
from app.embedded.registry import running
from app.embedded.stack import beside
from app.modes.local import DATA_DIR


def command_settings(
    arguments: argparse.Namespace, *, needs: Collection[str] | None = None
) -> Settings:
    """The settings as configured; a server that is not is that of a stack that runs beside.

    That is the one under --data-dir; without it the one under ./.tariff, else the only one
    that this user runs. None is looked for where the addresses that the command `needs`
    (all, when None) are configured. Raises: ConfigError (several run), DamagedState.
    """
    settings = load(path=arguments.config)
    configured = addresses(settings)
    if all(configured[name] for name in (configured if needs is None else needs)):
        return settings
    given: Path | None = arguments.data_dir
    chosen = given or _chosen(running())
    return settings if chosen is None else beside(settings, chosen)


def _chosen(found: list[Path]) -> Path | None:
    here = DATA_DIR.resolve()
    if here in found or not found:
        return here if here in found else None
    if len(found) > 1:
        listed = ", ".join(map(str, found))
        raise ConfigError(f"several local stacks run ({listed}): say which with --data-dir")
    return found[0]
