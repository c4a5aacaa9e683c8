from typing import ClassVar

from app.kernel.events import Event


class CustomerCreated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "customer.created"


class CustomerUpdated(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "customer.updated"


class CustomerArchived(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "customer.archived"


class CustomerRestored(Event, frozen=True, kw_only=True):
    name: ClassVar[str] = "customer.restored"
