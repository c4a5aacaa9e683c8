from datetime import datetime

from app.clocks import reads as clocks
from app.customers import actions as customers
from app.customers.customer import Customer
from app.customers.errors import CustomerHasWork
from app.infra.postgres import fetch, writing
from app.kernel.scope import Actor, Scope

_ANY = (
    "SELECT EXISTS (SELECT 1 FROM subscriptions "
    "WHERE tenant_id = $1 AND environment_id = $2 AND customer_id = $3)"
)


async def move_customer(
    scope: Scope, customer_id: str, test_clock_id: str | None, *, by: Actor, at: datetime
) -> Customer:
    """Put a customer on a test clock, on another, or back into the environment's present (None).

    Only while it has no subscription, whatever its status: what was billed by one present cannot
    go on by another. `at` is the present that it lives in until then.
    Raises: NotFound, CustomerIsArchived, CustomerHasWork, Archived, GovernsEnvironment.
    """
    async with writing(scope):
        # Held until the commit, as `create` holds it, so that neither overtakes the other.
        await customers.locked(scope, customer_id)
        if test_clock_id is not None:
            await clocks.open_to_customers(scope, test_clock_id, field="testClockId")
        rows = await fetch(scope, _ANY, scope.tenant_id, scope.environment_id, customer_id)
        if rows[0][0]:
            raise CustomerHasWork(customer_id, "subscriptions")
        return await customers.move(scope, customer_id, test_clock_id, by=by, at=at)
