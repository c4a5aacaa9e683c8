"""Giving coupons to customers, subscriptions and lines, and taking them away."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

import asyncpg

from app.catalog.actions.coupons import give_back, redeem
from app.catalog.coupon import Coupon, Problem
from app.catalog.errors import CouponNotRedeemable
from app.catalog.reads import coupons, prices
from app.infra import outbox
from app.infra.postgres import writing
from app.invoicing.actions.attachment_owners import Owner, owner_of
from app.invoicing.records import insert, update
from app.invoicing.terms import coupon_reads as reads
from app.invoicing.terms.attachment import AttachCoupon, CouponAttachment
from app.invoicing.terms.errors import CouponAlreadyAttached, CouponIsDetached
from app.invoicing.terms.events import CouponAttached, CouponDetached
from app.kernel.copies import replace
from app.kernel.errors import Invalid, NotFound
from app.kernel.ids import new_id
from app.kernel.scope import Actor, Scope
from app.tenants import audit


async def attach(
    scope: Scope, command: AttachCoupon, *, by: Actor, at: datetime
) -> CouponAttachment:
    """Redeem a coupon for a customer, a subscription or one of its lines.

    Without a start it is taken off from the next invoice on: a subscription's from the first
    that is not drafted, a customer's from now.
    Raises: Invalid, NotFound, Archived (the customer), SubscriptionIsOver, CouponNotRedeemable,
    CouponAlreadyAttached.
    """
    async with writing(scope) as connection:
        owner = await owner_of(scope, command, at=at)
        coupon = await _coupon(scope, command)
        coupon = await redeem(connection, scope, coupon.id, at=at, currency=owner.currency)
        for problem in await _misfits(scope, coupon, owner):
            raise CouponNotRedeemable(coupon.id, problem)
        attachment = _attachment(command, coupon, owner, at=at)
        await _check_apart(scope, attachment, at=at)
        await insert(connection, "coupon_attachments", [_row(scope, attachment)])
        await audit.record(scope, by, "coupon.attach", attachment.id, at=at, after=attachment)
        await outbox.put(scope, CouponAttached.of(attachment, at))
    return attachment


async def problems(scope: Scope, command: AttachCoupon, *, at: datetime) -> list[Problem]:
    """Why the coupon could not be attached so, all of it; nothing is changed.

    Raises: Invalid, NotFound, Archived (the customer), SubscriptionIsOver.
    """
    owner = await owner_of(scope, command, at=at)
    coupon = await _coupon(scope, command)
    found = [*coupon.problems(at, owner.currency), *await _misfits(scope, coupon, owner)]
    try:
        await _check_apart(scope, _attachment(command, coupon, owner, at=at), at=at)
    except CouponAlreadyAttached as refusal:
        found.append(Problem(refusal.code, refusal.message))
    return found


async def detach(
    scope: Scope,
    attachment_id: str,
    *,
    by: Actor,
    at: datetime,
    ends_at: datetime | None = None,
) -> CouponAttachment:
    """Take the coupon away from `ends_at` on, or now.

    Taken away by now and never taken off an invoice, it is as if it had never been attached:
    the redemption is given back. One that ends already can only end sooner.
    Raises: Invalid, NotFound, CouponIsDetached.
    """
    async with writing(scope) as connection:
        before = await _locked(connection, scope, attachment_id)
        if before.ends_at is not None and before.ends_at <= at:
            raise CouponIsDetached(attachment_id, before.ends_at)
        _check_sooner(before, ends_at)
        end = max(at if ends_at is None else ends_at, before.starts_at)
        unused = end <= max(at, before.starts_at) and not await reads.uses(scope, [attachment_id])
        if unused:
            end = before.starts_at
        after = replace(before, ends_at=end, updated_at=at)
        await update(
            connection,
            "coupon_attachments",
            [{"id": attachment_id, "ends_at": end, "updated_at": at}],
        )
        if unused:
            await give_back(connection, scope, before.coupon_id)
        await audit.record(
            scope, by, "coupon.detach", attachment_id, at=at, before=before, after=after
        )
        await outbox.put(scope, CouponDetached.of(after, at))
    return after


def _check_sooner(before: CouponAttachment, ends_at: datetime | None) -> None:
    """What comes after the end may be another attachment's."""
    if ends_at is not None and before.ends_at is not None and ends_at > before.ends_at:
        raise Invalid(
            f"endsAt: it ends at {before.ends_at.isoformat()} already and cannot end later",
            field="endsAt",
            code="INVALID_ENDS_AT",
        )


async def _coupon(scope: Scope, command: AttachCoupon) -> Coupon:
    if (command.coupon_id is None) == (command.code is None):
        raise Invalid(
            "couponId: name the coupon by id or by code",
            field="couponId" if command.coupon_id is None else "code",
            code="COUPON_REQUIRED" if command.coupon_id is None else "COUPON_AMBIGUOUS",
        )
    if command.coupon_id is not None:
        return await coupons.get(scope, command.coupon_id, field="couponId")
    code = command.code or ""
    found = await coupons.by_codes(scope, [code])
    if code not in found:
        raise NotFound("coupon with the code", code, field="code")
    return found[code]


async def _misfits(scope: Scope, coupon: Coupon, owner: Owner) -> list[Problem]:
    """Whether there is anything that the coupon could be taken off."""
    if owner.lines is None or coupon.limits.unlimited:
        return []
    priced = (await prices.by_ids(scope, {line.price_id for line in owner.lines})).values()
    if any(coupon.limits.cover(p.sold_with_plan_id, p.lineage_id, p.feature_id) for p in priced):
        return []
    return [Problem("COUPON_NOT_APPLICABLE", "it is limited to what is not among the lines")]


def _attachment(
    command: AttachCoupon, coupon: Coupon, owner: Owner, *, at: datetime
) -> CouponAttachment:
    starts_at = command.starts_at or owner.since
    if command.ends_at is not None and command.ends_at <= starts_at:
        raise Invalid(
            f"endsAt: {command.ends_at.isoformat()} must lie after {starts_at.isoformat()}",
            field="endsAt",
            code="INVALID_ENDS_AT",
        )
    return CouponAttachment(
        id=new_id("cpa"),
        coupon_id=coupon.id,
        customer_id=owner.customer_id,
        subscription_id=owner.subscription_id,
        line_item_id=owner.line_item_id,
        starts_at=starts_at,
        ends_at=command.ends_at,
        created_at=at,
        updated_at=at,
    )


async def _check_apart(scope: Scope, new: CouponAttachment, *, at: datetime) -> None:
    """That the owner does not have the coupon at any time that `new` is for."""
    for old in _of_coupon(await reads.of_owners(scope, [new.owner_id]), new.coupon_id):
        begins = new.ends_at is None or old.starts_at < new.ends_at
        lasts = old.ends_at is None or (old.ends_at > new.starts_at and old.ends_at > old.starts_at)
        if begins and lasts:
            raise CouponAlreadyAttached(new.coupon_id, old.id)


def _of_coupon(
    attachments: Sequence[CouponAttachment], coupon_id: str
) -> Iterator[CouponAttachment]:
    return (each for each in attachments if each.coupon_id == coupon_id)


def _row(scope: Scope, attachment: CouponAttachment) -> dict[str, object]:
    return {
        **asdict(attachment),
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "owner_id": attachment.owner_id,
    }


async def _locked(
    connection: asyncpg.Connection, scope: Scope, attachment_id: str
) -> CouponAttachment:
    await connection.execute(
        "SELECT 1 FROM coupon_attachments WHERE tenant_id = $1 AND environment_id = $2 "
        "AND id = $3 FOR UPDATE",
        scope.tenant_id,
        scope.environment_id,
        attachment_id,
    )
    return await reads.get(scope, attachment_id)
