"""The next invoice of a subscription, there or only thought of, by the code that bills and
without saving anything."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import asyncpg

from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.invoicing.actions.subscribing import subscribe
from app.invoicing.bills import Bill, Drafted, Moment, draft, upcoming
from app.invoicing.corrected import corrected
from app.invoicing.errors import NothingToBill
from app.invoicing.imagining import Imagined, imagine
from app.invoicing.in_force import reckoned
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.usage import count
from app.kernel.errors import NotFound
from app.kernel.scope import Actor, Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.subscription import CreateSubscription


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription that is only thought of, with its coupons."""

    command: CreateSubscription
    coupon_ids: Sequence[str] = ()
    coupon_codes: Sequence[str] = ()


class _UndoneError(Exception):
    """Ends a transaction whose work is not to last."""


@asynccontextmanager
async def undone(scope: Scope) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that sees what is done in it, and leaves nothing behind."""
    with suppress(_UndoneError):
        async with writing(scope) as connection:
            yield connection
            raise _UndoneError


async def preview(
    scope: Scope,
    subscription_id: str,
    clickhouse: ClickHouse,
    *,
    moment: Moment,
    imagined: Imagined | None = None,
) -> Drafted:
    """What the subscription's next invoice would be if its period had the usage it has now.

    Where the usage of some prices is imagined, it is the next that asks for the usage of all of
    them. Raises: NotFound, NothingToBill, Invalid (see `imagine`), Unavailable.
    """
    found = await subscriptions.billable(scope, [subscription_id])
    if not found:
        raise NotFound("subscription", subscription_id, field="subscriptionId")
    bill = upcoming(found[0], prices=imagined or ()) or upcoming(found[0])
    if bill is None:
        raise NothingToBill(subscription_id)
    return await unsaved(scope, bill, clickhouse, moment=moment, imagined=imagined)


async def preview_new(
    scope: Scope,
    new: NewSubscription,
    clickhouse: ClickHouse,
    *,
    by: Actor,
    moment: Moment,
    imagined: Imagined | None = None,
) -> Drafted:
    """The same of a subscription that is created, billed and undone again.

    Raises: as `subscribe` and `preview`.
    """
    async with undone(scope):
        made = await subscribe(
            scope,
            new.command,
            by=by,
            at=moment.at,
            coupon_ids=new.coupon_ids,
            coupon_codes=new.coupon_codes,
        )
        return await preview(scope, made.id, clickhouse, moment=moment, imagined=imagined)


async def unsaved(
    scope: Scope,
    bill: Bill,
    clickhouse: ClickHouse,
    *,
    moment: Moment,
    imagined: Imagined | None = None,
) -> Drafted:
    """The invoice of a bill with the usage of this moment. Raises: NotFound, Unavailable."""
    counted = await count(scope, clickhouse, [bill], as_of=moment.watermark)
    drafted = draft(bill, imagine(bill, counted, imagined or {}), moment)
    invoice = replace(drafted.invoice, status=InvoiceStatus.DRAFT, finalize_at=None)
    (whole,) = await corrected(scope, [replace(drafted, invoice=invoice)], lock=False)
    (found,) = await reckoned(scope, [whole], at=moment.at, lock=False)
    return found
