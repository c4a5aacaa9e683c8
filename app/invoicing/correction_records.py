"""Between corrections and the rows of their tables."""

from datetime import datetime
from typing import Any

import asyncpg

from app.infra.rows import json_of
from app.invoicing.correction import (
    Correction,
    CorrectionApplied,
    CorrectionPolicy,
    CorrectionStatus,
)
from app.kernel.period import Period
from app.kernel.scope import Scope

# The columns that are the fields of the same name.
_SAME = (
    "id", "created_at", "updated_at", "customer_id", "subscription_id", "invoice_id",
    "invoice_line_id", "line_item_id", "line_key", "price_id", "meter_id", "description",
    "currency", "as_of", "quantity", "amount", "reason", "decided_at",
)  # fmt: skip


def correction_of(row: asyncpg.Record) -> Correction:
    """What remains is known where the row says so."""
    found: dict[str, Any] = {name: row[name] for name in _SAME}
    if "remaining" in row.keys():  # noqa: SIM118 - `in` looks through a record's values
        found["remaining"] = row["remaining"]
    return Correction(
        **found,
        group=json_of(row["group_values"]),
        service=Period(row["service_start"], row["service_end"]),
        policy=CorrectionPolicy(row["policy"]),
        status=CorrectionStatus(row["status"]),
        price=json_of(row["price"]),
        explanation=json_of(row["explanation"]),
    )


def correction_values(scope: Scope, row: Correction) -> dict[str, Any]:
    """The columns of a new correction."""
    return {
        **{name: getattr(row, name) for name in _SAME},
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "group_values": row.group,
        "service_start": row.service.start,
        "service_end": row.service.end,
        "policy": row.policy,
        "status": row.status,
        "price": row.price,
        "explanation": row.explanation,
    }


def applied_of(row: asyncpg.Record) -> CorrectionApplied:
    return CorrectionApplied(
        id=row["id"],
        correction_id=row["correction_id"],
        invoice_id=row["invoice_id"],
        credit_note_id=row["credit_note_id"],
        amount=row["amount"],
        currency=row["currency"],
    )


def applied_values(scope: Scope, row: CorrectionApplied, at: datetime) -> dict[str, Any]:
    """The columns of a new application."""
    return {
        "id": row.id,
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "created_at": at,
        "updated_at": at,
        "correction_id": row.correction_id,
        "invoice_id": row.invoice_id,
        "credit_note_id": row.credit_note_id,
        "amount": row.amount,
        "currency": row.currency,
    }
