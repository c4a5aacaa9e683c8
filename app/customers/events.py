from dataclasses import dataclass
from typing import ClassVar

from app.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCreated(Event):
    name: ClassVar[str] = "customer.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerUpdated(Event):
    name: ClassVar[str] = "customer.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerArchived(Event):
    name: ClassVar[str] = "customer.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRestored(Event):
    name: ClassVar[str] = "customer.restored"
