"""What can be done with a coupon: one function per verb, each one transaction."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import asyncpg
from tortoise.expressions import F

from app.catalog.actions import coupon_terms, named
from app.catalog.actions.inputs import NAMED
from app.catalog.actions.locks import lock
from app.catalog.actions.named import Noun
from app.catalog.coupon import Coupon, CouponKind, CreateCoupon
from app.catalog.errors import CouponNotRedeemable
from app.catalog.events import CouponArchived, CouponCreated, CouponRestored, CouponUpdated
from app.catalog.models import CouponTable
from app.catalog.reads import coupons as reads
from app.infra.postgres import writing
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.errors import Invalid
from app.kernel.scope import Actor, Scope

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_REDEMPTIONS = 2_000_000_000

COUPON = Noun(
    name="coupon",
    prefix="cpn",
    lock="coupons",
    table=CouponTable,
    get=reads.get,
    created=CouponCreated,
    updated=CouponUpdated,
    archived=CouponArchived,
    restored=CouponRestored,
    key="code",
)


async def create(scope: Scope, command: CreateCoupon, *, by: Actor, at: datetime) -> Coupon:
    """Raises: Invalid, NotFound (what it is limited to), AlreadyExists (the code is taken)."""
    values = _columns(command)
    limits = await coupon_terms.found_limits(scope, command.limits)
    values["limits"] = {name: list(ids) for name, ids in asdict(limits).items()}
    return await named.create(COUPON, scope, values, by=by, at=at)


async def update(
    scope: Scope, coupon_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> Coupon:
    """Change the fields that `patch` holds; an absent field stays as it is.

    Of `name`, `redeem_from`, `redeem_until`, `max_redemptions` and `metadata`: what it takes
    off never changes, because others have it already. Raises: Invalid, NotFound, Archived.
    """
    values = checked(patch, _CHANGEABLE)
    async with writing(scope) as connection:
        await lock(connection, scope, "coupons", coupon_id)
        before = await reads.get(scope, coupon_id)
        _check_window(
            values.get("redeem_from", before.redeem_from),
            values.get("redeem_until", before.redeem_until),
        )
        most = values.get("max_redemptions")
        if most is not None and most < before.redemptions:
            raise checks.invalid(
                "maxRedemptions", f"{most} is less than the {before.redemptions} there are already"
            )
        return await named.update(COUPON, scope, coupon_id, values, by=by, at=at)


async def archive(scope: Scope, coupon_id: str, *, by: Actor, at: datetime) -> Coupon:
    """Nobody redeems it any more; who has it keeps it. Its code becomes free.

    Raises: NotFound, Archived.
    """
    return await named.archive(COUPON, scope, coupon_id, by=by, at=at)


async def restore(scope: Scope, coupon_id: str, *, by: Actor, at: datetime) -> Coupon:
    """Put an archived coupon back. Raises: NotFound, NotArchived, AlreadyExists."""
    return await named.restore(COUPON, scope, coupon_id, by=by, at=at)


async def redeem(
    connection: asyncpg.Connection,
    scope: Scope,
    coupon_id: str,
    *,
    at: datetime,
    currency: str | None,
) -> Coupon:
    """Count one redemption, by somebody billed in `currency`. Call inside `writing(scope)`.

    The row is held until the transaction ends, so of two who want the last one the second sees
    that it is gone. Raises: NotFound, CouponNotRedeemable.
    """
    await lock(connection, scope, "coupons", coupon_id)
    coupon = await reads.get(scope, coupon_id, field="couponId")
    problem = next(coupon.problems(at, currency), None)
    if problem is not None:
        raise CouponNotRedeemable(coupon_id, problem)
    await CouponTable.filter(id=coupon_id).update(redemptions=F("redemptions") + 1)
    return coupon


async def give_back(connection: asyncpg.Connection, scope: Scope, coupon_id: str) -> None:
    """Undo one redemption that came to nothing. Call inside `writing(scope)`."""
    await lock(connection, scope, "coupons", coupon_id)
    await CouponTable.filter(id=coupon_id).update(redemptions=F("redemptions") - 1)


def _columns(command: CreateCoupon) -> dict[str, Any]:
    """The columns of a new coupon. Raises: Invalid."""
    coupon_terms.check_value(command)
    coupon_terms.check_duration(command)
    values = checked({name: getattr(command, name) for name in _CHANGEABLE}, _CHANGEABLE)
    _check_window(command.redeem_from, command.redeem_until)
    code = _code(command.code)
    fixed = command.percent_off is None
    return {
        **values,
        "code": code,
        "folded_code": reads.folded_code(code),
        "kind": CouponKind.FIXED if fixed else CouponKind.PERCENTAGE,
        "percent_off": command.percent_off,
        "amount_off": command.amount_off,
        "currency": None if command.currency is None else checks.currency(command.currency),
        "duration": command.duration.value,
        "periods": command.periods,
        "level": command.level.value,
        "redemptions": 0,
    }


def _code(value: str) -> str:
    stripped = value.strip()
    if not _CODE.fullmatch(stripped):
        raise checks.invalid(
            "code",
            f"{stripped!r} must start with a letter or digit and hold only letters, digits, '_', "
            "'.' and '-', at most 64 of them",
        )
    return stripped


def _check_window(start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and end <= start:
        raise Invalid(
            f"redeemUntil: {end.isoformat()} must lie after {start.isoformat()}",
            field="redeemUntil",
            code="INVALID_REDEEM_UNTIL",
        )


def _redemptions(value: int | None) -> int | None:
    if value is not None and not 1 <= value <= _MOST_REDEMPTIONS:
        raise checks.invalid(
            "maxRedemptions", f"{value} must lie between 1 and {_MOST_REDEMPTIONS}"
        )
    return value


_CHANGEABLE: Checks = {
    "name": lambda v: checks.text(required(v, "name"), "name"),
    "metadata": NAMED["metadata"],
    "redeem_from": lambda v: v,
    "redeem_until": lambda v: v,
    "max_redemptions": _redemptions,
}
