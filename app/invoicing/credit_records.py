"""Between credit notes and the rows of their tables."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import asyncpg

from app.infra.rows import json_of
from app.invoicing.credit_note import (
    Amounts,
    Application,
    ApplicationKind,
    CreditNote,
    CreditNoteKind,
    CreditNoteLine,
    CreditNoteReason,
    CreditNoteStatus,
    RefundStatus,
)
from app.invoicing.invoice import Party
from app.invoicing.records import presentation_of
from app.kernel.scope import Scope


def note_of(row: asyncpg.Record) -> CreditNote:
    refund = row["refund_status"]
    return CreditNote(
        id=row["id"],
        number=row["number"],
        customer_id=row["customer_id"],
        invoice_id=row["invoice_id"],
        subscription_id=row["subscription_id"],
        status=CreditNoteStatus(row["status"]),
        kind=CreditNoteKind(row["kind"]),
        reason=CreditNoteReason(row["reason"]),
        memo=row["memo"],
        currency=row["currency"],
        timezone=row["timezone"],
        amounts=_amounts(row),
        adjusted=row["adjusted"],
        balance=row["balance"],
        refund_status=None if refund is None else RefundStatus(refund),
        key=row["key"],
        seller=_party(json_of(row["seller"])),
        bill_to=_party(json_of(row["bill_to"])),
        presentation=presentation_of(json_of(row["presentation"])),
        issued_at=row["issued_at"],
        voided_at=row["voided_at"],
        void_reason=row["void_reason"],
        metadata=json_of(row["metadata"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def line_of(row: asyncpg.Record) -> CreditNoteLine:
    return CreditNoteLine(
        id=row["id"],
        credit_note_id=row["credit_note_id"],
        invoice_line_id=row["invoice_line_id"],
        position=row["position"],
        description=row["description"],
        amounts=_amounts(row),
        currency=row["currency"],
    )


def application_of(row: asyncpg.Record) -> Application:
    return Application(
        id=row["id"],
        credit_note_id=row["credit_note_id"],
        invoice_id=row["invoice_id"],
        kind=ApplicationKind(row["kind"]),
        amount=row["amount"],
        currency=row["currency"],
        created_at=row["created_at"],
    )


def note_values(scope: Scope, note: CreditNote) -> dict[str, Any]:
    return {
        **_base(scope, note.id, note.created_at),
        "number": note.number,
        "customer_id": note.customer_id,
        "invoice_id": note.invoice_id,
        "subscription_id": note.subscription_id,
        "status": note.status,
        "kind": note.kind,
        "reason": note.reason,
        "memo": note.memo,
        "currency": note.currency,
        "timezone": note.timezone,
        **asdict(note.amounts),
        "total": note.total,
        "adjusted": note.adjusted,
        "balance": note.balance,
        "refund_status": note.refund_status,
        "key": note.key,
        "seller": asdict(note.seller),
        "bill_to": asdict(note.bill_to),
        "presentation": asdict(note.presentation),
        "issued_at": note.issued_at,
        "metadata": note.metadata,
    }


def line_values(scope: Scope, line: CreditNoteLine, at: datetime) -> dict[str, Any]:
    return {
        **_base(scope, line.id, at),
        "credit_note_id": line.credit_note_id,
        "invoice_line_id": line.invoice_line_id,
        "position": line.position,
        "description": line.description,
        **asdict(line.amounts),
        "currency": line.currency,
    }


def application_values(scope: Scope, entry: Application) -> dict[str, Any]:
    return {
        **_base(scope, entry.id, entry.created_at),
        "credit_note_id": entry.credit_note_id,
        "invoice_id": entry.invoice_id,
        "kind": entry.kind,
        "amount": entry.amount,
        "currency": entry.currency,
    }


def _base(scope: Scope, id_: str, at: datetime) -> dict[str, Any]:
    return {
        "id": id_,
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "created_at": at,
        "updated_at": at,
    }


def _amounts(row: asyncpg.Record) -> Amounts:
    return Amounts(row["amount"], row["discount"], row["tax"], row["tax_included"])


def _party(stored: dict[str, Any]) -> Party:
    return Party(**{**stored, "lines": tuple(stored["lines"])})
