"""Whose data: the pair of tenant and environment, and who acts."""

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["user", "service_account", "api_key", "system_key", "system"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Every read and every action takes one; nothing is found outside it."""

    tenant_id: str
    environment_id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as the audit log says it. `request_id` ties it to the logs."""

    kind: ActorKind
    id: str
    request_id: str | None = None


SYSTEM = Actor("system", "system")
