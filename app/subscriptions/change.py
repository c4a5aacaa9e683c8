"""Changes of running subscriptions: what was asked for, when it takes effect, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from app.catalog.price_override import PriceOverride, from_plain, to_plain
from app.subscriptions.commitments import CommitmentTerms
from app.subscriptions.subscription import Held, Override


class SubscriptionChangeKind(StrEnum):
    QUANTITY = "quantity"
    """More or less is held of a fixed charge."""
    PRICE = "price"
    """A line is charged by a price of the subscription's own, or by the catalogue's again."""
    ADDON_ATTACH = "addon_attach"
    """An addon is bought beside the plan."""
    ADDON_DETACH = "addon_detach"
    """An addon is not held any more."""
    ADDON_QUANTITY = "addon_quantity"
    """More or less is held of an addon."""
    PLAN = "plan"
    """Another plan, or another version of the plan, is bought."""
    PHASE = "phase"
    """The next of the phases that were agreed on begins."""


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
class ChangePrice:
    """Charge a line by a price of the subscription's own, made of the one that it has by then;
    `terms` None: by the price of the catalogue again. `quantity` None: as it is."""

    line_item_id: str
    terms: PriceOverride | None
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachAddon:
    """Buy so much of an addon: its prices in the subscription's currency that are charged once or
    in its cadence, and what it gives. One that is bought once ends with the period."""

    addon_id: str
    quantity: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachAddon:
    """Hold an addon no more. `holding_id` is that of its first holding, whatever its quantity."""

    holding_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAddonQuantity:
    """Hold so much of an addon: of its recurring fixed charges, and times what it gives."""

    holding_id: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTerms:
    """What a phase has besides its plan.

    `commitments` None: as before. `ends_at` is the end of the last phase, None: open, or where
    the next one begins; with `cancels` the subscription is canceled then.
    """

    commitments: tuple[CommitmentTerms, ...] | None = None
    ends_at: datetime | None = None
    cancels: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """Go over to a version of a plan: the one named, else the plan's current one.

    `price_ids` None: its recurring prices in the subscription's currency and cadence. Of a
    fixed charge that `quantities` does not name, as much is held as of the line it takes over
    from, else 1. Prices charged once are bought only where they are named. `overrides` are
    prices of the subscription's own instead of some of them; with `keeps_overrides` it has what
    it had of its own also in a price of the same lineage, else that ends. A `phase` may stay on
    the version that it is on; then `price_ids` None are the prices that it has by then.
    """

    plan_id: str | None = None
    plan_version_id: str | None = None
    price_ids: tuple[str, ...] | None = None
    quantities: tuple[Held, ...] = ()
    overrides: tuple[Override, ...] = ()
    keeps_overrides: bool = False
    phase: PhaseTerms | None = None


# What a change is to do.
OfAddon = AttachAddon | DetachAddon | ChangeAddonQuantity
What = ChangeQuantity | ChangePrice | ChangePlan | OfAddon


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


_KINDS: dict[type[What], SubscriptionChangeKind] = {
    ChangeQuantity: SubscriptionChangeKind.QUANTITY,
    ChangePrice: SubscriptionChangeKind.PRICE,
    ChangePlan: SubscriptionChangeKind.PLAN,
    AttachAddon: SubscriptionChangeKind.ADDON_ATTACH,
    DetachAddon: SubscriptionChangeKind.ADDON_DETACH,
    ChangeAddonQuantity: SubscriptionChangeKind.ADDON_QUANTITY,
}


def kind_of(what: What) -> SubscriptionChangeKind:
    if isinstance(what, ChangePlan) and what.phase is not None:
        return SubscriptionChangeKind.PHASE
    return _KINDS[type(what)]


def terms_of(what: What) -> dict[str, Any]:
    """As a row keeps it: names in snake_case, decimals as text."""
    if isinstance(what, ChangeQuantity):
        return {"line_item_id": what.line_item_id, "quantity": str(what.quantity)}
    if isinstance(what, ChangePrice):
        return {
            "line_item_id": what.line_item_id,
            "override": None if what.terms is None else to_plain(what.terms),
            "quantity": _text(what.quantity),
        }
    if isinstance(what, AttachAddon):
        return {"addon_id": what.addon_id, "quantity": str(what.quantity)}
    if isinstance(what, DetachAddon):
        return {"holding_id": what.holding_id}
    if isinstance(what, ChangeAddonQuantity):
        return {"holding_id": what.holding_id, "quantity": str(what.quantity)}
    return {
        "plan_id": what.plan_id,
        "plan_version_id": what.plan_version_id,
        "price_ids": None if what.price_ids is None else list(what.price_ids),
        "quantities": [
            {"price_id": each.price_id, "quantity": str(each.quantity)} for each in what.quantities
        ],
        "overrides": [
            {"price_id": each.price_id, "quantity": _text(each.quantity)} | to_plain(each.terms)
            for each in what.overrides
        ],
        "keep_overrides": what.keeps_overrides,
        **({} if what.phase is None else {"phase": msgspec.to_builtins(what.phase)}),
    }


def what_of(change: SubscriptionChange) -> What:
    """The inverse of `terms_of`."""
    terms = change.terms
    if change.kind is SubscriptionChangeKind.QUANTITY:
        return ChangeQuantity(
            line_item_id=terms["line_item_id"], quantity=Decimal(terms["quantity"])
        )
    if change.kind is SubscriptionChangeKind.PRICE:
        override = terms["override"]
        return ChangePrice(
            line_item_id=terms["line_item_id"],
            terms=None if override is None else from_plain(override),
            quantity=_decimal(terms["quantity"]),
        )
    if change.kind is SubscriptionChangeKind.ADDON_ATTACH:
        return AttachAddon(addon_id=terms["addon_id"], quantity=Decimal(terms["quantity"]))
    if change.kind is SubscriptionChangeKind.ADDON_DETACH:
        return DetachAddon(holding_id=terms["holding_id"])
    if change.kind is SubscriptionChangeKind.ADDON_QUANTITY:
        return ChangeAddonQuantity(
            holding_id=terms["holding_id"], quantity=Decimal(terms["quantity"])
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
        overrides=tuple(
            Override(
                price_id=each["price_id"],
                terms=from_plain(each),
                quantity=_decimal(each["quantity"]),
            )
            for each in terms["overrides"]
        ),
        keeps_overrides=terms["keep_overrides"],
        phase=phase_of(terms),
    )


def phase_of(terms: Mapping[str, Any]) -> PhaseTerms | None:
    """What `terms_of` wrote down of a phase; None where the change is none."""
    return msgspec.convert(terms["phase"], PhaseTerms) if "phase" in terms else None


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
