"""What time it is, for a resolver: in the environment, and for a customer and what is its own.

A customer may live on a test clock, so what a root field does for one takes the customer's
present, never the environment's; a test holds every root field to that. Only development
environments have clocks, so elsewhere nothing is read.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime

from strawberry.dataloader import DataLoader

from app.catalog.entitlement import OwnerKind
from app.catalog.reads import entitlements
from app.clocks import reads as clocks
from app.clocks.test_clock import TestClock, require_standing
from app.customers import reads as customers
from app.invoicing import correction_reads
from app.invoicing import reads as invoices
from app.kernel.clock import Clock
from app.kernel.scope import Scope
from app.subscriptions import reads as subscriptions
from app.tenants.caller import Caller
from app.tenants.tenant import EnvironmentType

# From ids of one kind of thing to the ids of the customers it belongs to.
Owners = Callable[[Scope, Collection[str]], Awaitable[Mapping[str, str]]]


async def _customers_of_entitlements(scope: Scope, ids: Collection[str]) -> Mapping[str, str]:
    found = await entitlements.by_ids(scope, ids)
    holders = {
        id_: row.owner.id for id_, row in found.items() if row.owner.kind is OwnerKind.SUBSCRIPTION
    }
    owners = await subscriptions.customers_of(scope, set(holders.values()))
    return {id_: owners[holder] for id_, holder in holders.items() if holder in owners}


class Presents:
    """One request's. `open` before it is executed; a mutation finds no clock that is under way."""

    def __init__(self, caller: Caller | None, clock: Clock) -> None:
        self._clock = clock
        self._scope = None if caller is None else caller.scope
        facts = None if caller is None else caller.environment
        self._on_clocks = facts is not None and facts.type is EnvironmentType.DEVELOPMENT
        self._environment: TestClock | None = None
        self._mutating = False
        # Not remembered: a mutation's second field must see what the first has done.
        self._of_customer = DataLoader[str, TestClock | None](self._clocks, cache=False)
        self._owners: dict[Owners, DataLoader[str, str | None]] = {}

    async def open(self, *, mutating: bool) -> None:
        """Read the clock of the environment, which `environment` then goes by."""
        self._mutating = mutating
        if self._scope is not None and self._on_clocks:
            self._environment = await clocks.of_environment(self._scope)

    def environment(self) -> datetime:
        """The present of the environment. Raises: ClockAdvancing."""
        if self._environment is None:
            return self._clock.now(self._scope)
        return self._standing(self._environment)

    async def customer(self, customer_id: str) -> datetime:
        """The present of a customer; the environment's for who does not exist.

        Raises: ClockAdvancing.
        """
        clock = await self._of_customer.load(customer_id) if self._on_clocks else None
        return self.environment() if clock is None else self._standing(clock)

    async def external_customer(self, external_id: str) -> datetime:
        """The present of a customer by the tenant's own name for it; see `customer`."""
        return await self.owned(customers.ids_of, external_id)

    async def clock(self, clock_id: str | None) -> datetime:
        """What a clock shows; the environment's present without one. Raises: ClockAdvancing."""
        if clock_id is None or self._scope is None or not self._on_clocks:
            return self.environment()
        clock = (await clocks.by_ids(self._scope, [clock_id])).get(clock_id)
        return self.environment() if clock is None else self._standing(clock)

    async def subscription(self, subscription_id: str) -> datetime:
        """The present of the customer a subscription belongs to; see `customer`."""
        return await self.owned(subscriptions.customers_of, subscription_id)

    async def invoice(self, invoice_id: str) -> datetime:
        """The present of the customer an invoice belongs to; see `customer`."""
        return await self.owned(invoices.customers_of, invoice_id)

    async def invoice_correction(self, correction_id: str) -> datetime:
        """The present of the customer a correction is for; see `customer`."""
        return await self.owned(correction_reads.customers_of, correction_id)

    async def entitlement(self, entitlement_id: str) -> datetime:
        """Of the customer whose subscription has an entitlement for itself, if one has it."""
        return await self.owned(_customers_of_entitlements, entitlement_id)

    async def owned(self, owners: Owners, id_: str) -> datetime:
        """The present of the customer that a thing belongs to, as `owners` finds out."""
        if not self._on_clocks:
            return self.environment()
        if owners not in self._owners:
            self._owners[owners] = self._loader(owners)
        customer_id = await self._owners[owners].load(id_)
        return self.environment() if customer_id is None else await self.customer(customer_id)

    def _loader(self, owners: Owners) -> DataLoader[str, str | None]:
        async def load(ids: list[str]) -> list[str | None]:
            found = await owners(self._scope, ids) if self._scope is not None else {}
            return [found.get(id_) for id_ in ids]

        return DataLoader(load)

    async def _clocks(self, customer_ids: list[str]) -> list[TestClock | None]:
        if self._scope is None:
            return [None] * len(customer_ids)
        found = await clocks.of_customers(self._scope, set(customer_ids))
        return [found.get(customer_id) for customer_id in customer_ids]

    def _standing(self, clock: TestClock) -> datetime:
        if self._mutating:
            require_standing(clock)
        return clock.frozen_at
