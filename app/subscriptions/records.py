"""Between the values of the domain and the rows of the tables."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import msgspec

from app.catalog.entitlement import Owner, OwnerKind
from app.infra.rows import json_of
from app.kernel.copies import fields_of
from app.kernel.period import Cadence, Period
from app.subscriptions.change import (
    ChangeMode,
    Direction,
    Failure,
    Proration,
    SubscriptionChange,
    SubscriptionChangeKind,
    SubscriptionChangeStatus,
)
from app.subscriptions.commitments import HeldCommitment
from app.subscriptions.family import FamilyUsage
from app.subscriptions.holding import Holding
from app.subscriptions.pause import Pause, PauseBehaviour, PauseSpan
from app.subscriptions.subscription import (
    Cancellation,
    CancelMode,
    CancelReason,
    CollectionMethod,
    Cut,
    FirstFee,
    LineItem,
    PaymentTerms,
    ProrateBy,
    Subscription,
    SubscriptionStatus,
    Trial,
)

T = TypeVar("T")


def subscription_of(record: asyncpg.Record) -> Subscription:
    return Subscription(
        id=record["id"],
        customer_id=record["customer_id"],
        plan_id=record["plan_id"],
        plan_version_id=record["plan_version_id"],
        status=SubscriptionStatus(record["status"]),
        currency=record["currency"],
        timezone=record["timezone"],
        alignment=record["alignment"],
        anchor=record["anchor"],
        anchor_given=record["anchor_given"],
        cadence=Cadence(record["cadence_unit"], record["cadence_count"]),
        starts_at=record["starts_at"],
        start_given=record["start_given"],
        ends_at=record["ends_at"],
        trial=_trial(record),
        pauses=_listed(record["pauses"], PauseSpan),
        cuts=_listed(record["cuts"], Cut),
        cancellation=_cancellation(record),
        terms=PaymentTerms(
            net_days=record["net_days"],
            collection_method=CollectionMethod(record["collection_method"]),
            purchase_order=record["purchase_order"],
            auto_invoice_threshold=record["auto_invoice_threshold"],
            parent_pays=record["parent_pays"],
        ),
        current_period=Period(record["current_period_start"], record["current_period_end"]),
        billed_until=record["billed_until"],
        threshold_until=record["threshold_until"],
        revision=record["revision"],
        metadata=json_of(record["metadata"]),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        changed_at=_listed(record["changed_at"], datetime),
        next_change_at=record["next_change_at"],
        commitments=_listed(record["commitments"], HeldCommitment),
        prorate_by=ProrateBy(record["prorate_by"]),
        families=_listed(record["families"], FamilyUsage),
    )


def columns(subscription: Subscription) -> dict[str, Any]:
    """The subscription's row, without its scope."""
    row = fields_of(subscription)
    cadence, period = row.pop("cadence"), row.pop("current_period")
    trial, cancellation, terms = row.pop("trial"), row.pop("cancellation"), row.pop("terms")
    return row | {
        "status": subscription.status.value,
        "metadata": dict(subscription.metadata),
        "pauses": plain(subscription.pauses),
        "prorate_by": subscription.prorate_by.value,
        "cuts": plain(subscription.cuts),
        "changed_at": plain(subscription.changed_at),
        "commitments": plain(subscription.commitments),
        "families": plain(subscription.families),
        "cadence_unit": cadence.unit,
        "cadence_count": cadence.count,
        "current_period_start": period.start,
        "current_period_end": period.end,
        "trial_ends_at": None if trial is None else trial.ends_at,
        "trial_days": None if trial is None else trial.days,
        "trial_bills_usage": trial is not None and trial.bills_usage,
        "trial_planned_end": None if trial is None else trial.planned_end,
        "trial_told": trial is not None and trial.told,
        **_cancel_columns(cancellation),
        "net_days": terms.net_days,
        "collection_method": terms.collection_method.value,
        "purchase_order": terms.purchase_order,
        "auto_invoice_threshold": terms.auto_invoice_threshold,
        "parent_pays": terms.parent_pays,
    }


def plain(
    rows: Sequence[PauseSpan | Cut | datetime | HeldCommitment | FamilyUsage],
) -> list[Any]:
    """As a JSON column keeps them."""
    found: list[Any] = msgspec.to_builtins(list(rows))
    return found


# The columns that are read of a line item: a billing run reads many.
LINE_ITEM = ", ".join(LineItem.__struct_fields__)


def line_item_of(record: asyncpg.Record) -> LineItem:
    return LineItem(
        id=record["id"],
        subscription_id=record["subscription_id"],
        price_id=record["price_id"],
        price_hash=record["price_hash"],
        quantity=record["quantity"],
        starts_at=record["starts_at"],
        ends_at=record["ends_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        line_key=record["line_key"],
        first_fee=FirstFee(record["first_fee"]),
        change_id=record["change_id"],
        replaces_id=record["replaces_id"],
        holding_id=record["holding_id"],
    )


def change_of(record: asyncpg.Record) -> SubscriptionChange:
    code, direction = record["failure_code"], record["direction"]
    return SubscriptionChange(
        id=record["id"],
        subscription_id=record["subscription_id"],
        customer_id=record["customer_id"],
        kind=SubscriptionChangeKind(record["kind"]),
        status=SubscriptionChangeStatus(record["status"]),
        mode=ChangeMode(record["mode"]),
        proration=Proration(record["proration"]),
        effective_at=record["effective_at"],
        applied_at=record["applied_at"],
        canceled_at=record["canceled_at"],
        failure=None if code is None else Failure(code, record["failure_message"]),
        terms=json_of(record["terms"]),
        direction=None if direction is None else Direction(direction),
        closed_ids=tuple(json_of(record["closed_ids"])),
        opened_ids=tuple(json_of(record["opened_ids"])),
        invoice_id=record["invoice_id"],
        credit_note_ids=tuple(json_of(record["credit_note_ids"])),
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )


def change_columns(change: SubscriptionChange) -> dict[str, Any]:
    """The change's row, without its scope."""
    row = fields_of(change)
    failure = row.pop("failure")
    return row | {
        "terms": dict(change.terms),
        "failure_code": None if failure is None else failure.code,
        "failure_message": None if failure is None else failure.message[:1000],
        **{name: list(row[name]) for name in ("closed_ids", "opened_ids", "credit_note_ids")},
        **{name: row[name].value for name in ("kind", "status", "mode", "proration")},
        "direction": None if change.direction is None else change.direction.value,
    }


def holding_of(record: asyncpg.Record) -> Holding:
    plan_id = record["plan_id"]
    return Holding(
        id=record["id"],
        subscription_id=record["subscription_id"],
        owner=Owner(OwnerKind.PLAN, plan_id, record["plan_version_id"])
        if plan_id is not None
        else Owner(OwnerKind.ADDON, record["addon_id"]),
        quantity=record["quantity"],
        entitlement_ids=tuple(json_of(record["entitlement_ids"])),
        starts_at=record["starts_at"],
        ends_at=record["ends_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
        key=record["key"],
    )


def pause_of(record: asyncpg.Record) -> Pause:
    return Pause(
        id=record["id"],
        subscription_id=record["subscription_id"],
        starts_at=record["starts_at"],
        ends_at=record["ends_at"],
        behaviour=PauseBehaviour(record["behaviour"]),
        reason=record["reason"],
        canceled_at=record["canceled_at"],
        created_at=record["created_at"],
        updated_at=record["updated_at"],
    )


def _trial(record: asyncpg.Record) -> Trial | None:
    ends_at: datetime | None = record["trial_ends_at"]
    if ends_at is None:
        return None
    return Trial(
        ends_at=ends_at,
        days=record["trial_days"],
        bills_usage=record["trial_bills_usage"],
        planned_end=record["trial_planned_end"],
        told=record["trial_told"],
    )


def _cancellation(record: asyncpg.Record) -> Cancellation | None:
    requested_at: datetime | None = record["cancel_requested_at"]
    if requested_at is None:
        return None
    reason = record["cancel_reason"]
    return Cancellation(
        requested_at=requested_at,
        mode=CancelMode(record["cancel_mode"]),
        final_invoice=record["cancel_final_invoice"],
        reason=None if reason is None else CancelReason(reason),
        comment=record["cancel_comment"],
        ended_at=record["cancel_ended_at"],
    )


def _cancel_columns(cancellation: Cancellation | None) -> dict[str, Any]:
    names = ("requested_at", "mode", "final_invoice", "reason", "comment", "ended_at")
    if cancellation is None:
        return {f"cancel_{name}": None for name in names}
    row = {f"cancel_{name}": getattr(cancellation, name) for name in names}
    reason = cancellation.reason
    return row | {
        "cancel_mode": cancellation.mode.value,
        "cancel_reason": None if reason is None else reason.value,
    }


def _listed(stored: Any, kind: type[T]) -> tuple[T, ...]:
    if stored in ("[]", []):
        return ()
    return msgspec.convert(json_of(stored), tuple[kind, ...])  # type: ignore[valid-type]
