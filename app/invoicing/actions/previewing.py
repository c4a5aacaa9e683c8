"""The next invoice of a subscription, there or only thought of, by the code that bills and
without saving anything."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.infra.clickhouse import ClickHouse
from app.infra.postgres import writing
from app.invoicing.actions.changing import take_effect
from app.invoicing.actions.subscribing import subscribe
from app.invoicing.bills import Bill, upcoming
from app.invoicing.corrected import corrected
from app.invoicing.drafts import Drafted, Moment, draft
from app.invoicing.errors import NothingToBill
from app.invoicing.imagining import Imagined, imagine
from app.invoicing.in_force import reckoned
from app.invoicing.invoice import InvoiceStatus
from app.invoicing.usage import count
from app.kernel.copies import replace
from app.kernel.errors import NotFound, TariffError
from app.kernel.scope import SYSTEM, Actor, Scope
from app.subscriptions import reads as subscriptions
from app.subscriptions.billable import BillableSubscription
from app.subscriptions.change import AttachAddon, SubscriptionChange
from app.subscriptions.phases import SetPhases
from app.subscriptions.subscription import CreateSubscription


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription that is only thought of, with its coupons, phases and addons."""

    command: CreateSubscription
    coupon_ids: Sequence[str] = ()
    coupon_codes: Sequence[str] = ()
    phases: SetPhases | None = None
    addons: Sequence[AttachAddon] = ()


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
    them. Changes that are to come by then are made, and undone again.
    Raises: NotFound, NothingToBill, Invalid (see `imagine`), Unavailable.
    """
    bill = _next(await by_next_bill(scope, subscription_id, imagined), imagined)
    if bill is None:
        raise NothingToBill(subscription_id)
    return await unsaved(scope, bill, clickhouse, moment=moment, imagined=imagined)


async def by_next_bill(
    scope: Scope, subscription_id: str, imagined: Imagined | None = None
) -> BillableSubscription:
    """The subscription with the changes that come by its next bill. Raises: NotFound."""
    known = await subscriptions.billable(scope, [subscription_id])
    if not known:
        raise NotFound("subscription", subscription_id, field="subscriptionId")
    (found,) = known
    bill = _next(found, imagined)
    changes = (await subscriptions.scheduled_changes(scope, [subscription_id]))[subscription_id]
    if bill is None or all(each.effective_at > bill.point.at for each in changes):
        return found
    return await _changed(scope, subscription_id, changes, until=bill.point.at)


def _next(subject: BillableSubscription, imagined: Imagined | None) -> Bill | None:
    return upcoming(subject, prices=imagined or ()) or upcoming(subject)


async def _changed(
    scope: Scope, subscription_id: str, changes: Sequence[SubscriptionChange], *, until: datetime
) -> BillableSubscription:
    """The subscription as of then. A change that is refused fails, and the rest goes on."""
    async with undone(scope):
        for each in sorted(changes, key=lambda one: one.effective_at):
            if each.effective_at <= until:
                with suppress(TariffError):
                    async with writing(scope) as connection:
                        at = each.effective_at
                        await take_effect(connection, scope, each, by=SYSTEM, at=at)
        (found,) = await subscriptions.billable(scope, [subscription_id])
    return found


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
            phases=new.phases,
            addons=new.addons,
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
