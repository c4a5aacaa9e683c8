"""Paying back what refunds owe: a port for whoever moves money.

A process says once who pays back (`refunded_by`); without that a refund stays owed to the
customer, as the balance of its credit note.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from app.invoicing.credit_note import CreditNote
from app.kernel.scope import Scope


class Refunds(Protocol):
    async def begin(self, scope: Scope, note: CreditNote) -> None:
        """Note that `note.balance` is to be paid back for the invoice of the note.

        Called in the transaction that issues the note: it may write rows and tell the outbox,
        and nothing else. How it went is told later, by `actions.settle_refund`.
        """
        ...


class NobodyRefunds:
    async def begin(self, scope: Scope, note: CreditNote) -> None:
        """The refund stays owed."""


_by: ContextVar[Refunds] = ContextVar("refunds", default=NobodyRefunds())  # noqa: B039


def refunds() -> Refunds:
    return _by.get()


@contextmanager
def refunded_by(port: Refunds) -> Iterator[None]:
    """Refunds of this task, and of those it starts, are paid back by `port`."""
    token = _by.set(port)
    try:
        yield
    finally:
        _by.reset(token)
