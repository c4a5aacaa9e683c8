"""Checks of this domain's inputs."""

from typing import Any

from app.kernel import checks
from app.kernel.checks import required


def name(value: Any, field: str = "name", *, longest: int = 255) -> str:
    return checks.text(required(value, field), field, longest=longest)


def email(value: Any) -> str:
    """Case-folded: whoever types their address with capitals is the same person."""
    return checks.email(required(value, "email")).casefold()


def metadata(value: Any) -> dict[str, str]:
    return checks.metadata(value or {})
