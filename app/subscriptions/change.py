"""Changes of running subscriptions: what was asked for, when it takes effect, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.subscriptions.subscription import Held


class SubscriptionChangeKind(StrEnum):
    QUANTITY = "quantity"
    """More or less is held of a fixed charge."""
    PLAN = "plan"
    """Another plan, or another version of the plan, is bought."""


class SubscriptionChangeStatus(StrEnum):
    SCHEDULED = "scheduled"
    APPLIED = "applied"
    CANCELED = "canceled"
    """Taken back, or the subscription was over before it came."""
    FAILED = "failed"
    """Refused when it came; `failure` says why."""


class ChangeMode(StrEnum):
    NOW = "now"
    PERIOD_END = "period_end"
    AT = "at"


class Proration(StrEnum):
    """What a change within a period does to fees in advance."""

    CREATE_PRORATIONS = "create_prorations"
    """What is unused of the old is given back, the rest of the new is charged, at once."""
    NONE = "none"
    """Neither, until the next period."""
    NEXT_INVOICE = "next_invoice"
    """What is unused of the old is given back; the rest of the new is on the next invoice."""


class Direction(StrEnum):
    """How what recurs of fixed fees compares with what it was, per period."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    LATERAL = "lateral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a change takes effect: `at` goes with the mode AT, and lies in the future."""

    mode: ChangeMode = ChangeMode.NOW
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuantity:
    """Hold another quantity of the fixed charge of a line."""

    line_item_id: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """Go over to a version of a plan: the one named, else the plan's current one.

    `price_ids` None: its recurring prices in the subscription's currency and cadence. Of a
    fixed charge that `quantities` does not name, as much is held as of the line it takes over
    from, else 1. Prices charged once are bought only where they are named.
    """

    plan_id: str | None = None
    plan_version_id: str | None = None
    price_ids: tuple[str, ...] | None = None
    quantities: tuple[Held, ...] = ()


# What a change is to do.
What = ChangeQuantity | ChangePlan


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a change was refused when it came."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """A row as everyone above the table sees it.

    `effective_at` is when it takes, or took, effect. `terms` say what is to be done, as JSON
    (see `terms_of` and `what_of`). Of one that was applied: `closed_ids` and `opened_ids` are
    the line items that ended and began with it, `direction` compares them, `invoice_id` is the
    invoice that asks for the rest of the period, and `credit_note_ids` are the notes that give
    back what was unused.
    """

    id: str
    subscription_id: str
    customer_id: str
    kind: SubscriptionChangeKind
    status: SubscriptionChangeStatus
    mode: ChangeMode
    proration: Proration
    effective_at: datetime
    applied_at: datetime | None
    canceled_at: datetime | None
    failure: Failure | None
    terms: Mapping[str, Any]
    direction: Direction | None
    closed_ids: tuple[str, ...]
    opened_ids: tuple[str, ...]
    invoice_id: str | None
    credit_note_ids: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


def kind_of(what: What) -> SubscriptionChangeKind:
    if isinstance(what, ChangeQuantity):
        return SubscriptionChangeKind.QUANTITY
    return SubscriptionChangeKind.PLAN


def terms_of(what: What) -> dict[str, Any]:
    """As a row keeps it: names in snake_case, decimals as text."""
    if isinstance(what, ChangeQuantity):
        return {"line_item_id": what.line_item_id, "quantity": str(what.quantity)}
    return {
        "plan_id": what.plan_id,
        "plan_version_id": what.plan_version_id,
        "price_ids": None if what.price_ids is None else list(what.price_ids),
        "quantities": [
            {"price_id": each.price_id, "quantity": str(each.quantity)} for each in what.quantities
        ],
    }


def what_of(change: SubscriptionChange) -> What:
    """The inverse of `terms_of`."""
    terms = change.terms
    if change.kind is SubscriptionChangeKind.QUANTITY:
        return ChangeQuantity(
            line_item_id=terms["line_item_id"], quantity=Decimal(terms["quantity"])
        )
    return plan_of(terms)


def plan_of(terms: Mapping[str, Any]) -> ChangePlan:
    """The change of plan that `terms_of` wrote down."""
    return ChangePlan(
        plan_id=terms["plan_id"],
        plan_version_id=terms["plan_version_id"],
        price_ids=None if terms["price_ids"] is None else tuple(terms["price_ids"]),
        quantities=tuple(
            Held(each["price_id"], Decimal(each["quantity"])) for each in terms["quantities"]
        ),
    )
