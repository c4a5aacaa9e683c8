"""What pays for invoices besides payments, as whoever keeps it tells: a port.

A process says once who keeps prepaid balances (`paid_from`); without that there are none.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.invoicing.amounts import Balance
from app.kernel.scope import Scope


@dataclass(frozen=True, slots=True)
class Payer:
    """A customer who is asked for money in one currency."""

    customer_id: str
    currency: str


class PrepaidBalances(Protocol):
    """Balances by payer, each list in the order in which it is drained.

    A balance names the kinds of lines it may pay for. `lock`: the call is part of a transaction
    that writes invoices; what it answers must hold until that ends. It may ask PostgreSQL and
    nothing else.
    """

    async def of(
        self, scope: Scope, payers: Collection[Payer], *, at: datetime, lock: bool
    ) -> Mapping[Payer, Sequence[Balance]]: ...


class NoBalances:
    """Nobody keeps prepaid balances."""

    async def of(
        self, scope: Scope, payers: Collection[Payer], *, at: datetime, lock: bool
    ) -> Mapping[Payer, Sequence[Balance]]:
        return {}


_kept_by: ContextVar[PrepaidBalances] = ContextVar("prepaid_balances", default=NoBalances())  # noqa: B039


def prepaid_balances() -> PrepaidBalances:
    return _kept_by.get()


@contextmanager
def paid_from(balances: PrepaidBalances) -> Iterator[None]:
    """Invoices of this task, and of those it starts, draw on these balances."""
    token = _kept_by.set(balances)
    try:
        yield
    finally:
        _kept_by.reset(token)
