"""Between the values of the domain and the rows of the tables."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import asyncpg
import orjson

from app.infra.arrays import BETWEEN, SQL_BETWEEN
from app.infra.rows import json_of
from app.invoicing.invoice import (
    BillingReason,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    LineKind,
    Party,
    Presentation,
    Settlement,
    SettlementKind,
    Subscriber,
    Totals,
)
from app.kernel.period import Period
from app.kernel.quantity import plain
from app.kernel.scope import Scope
from app.subscriptions.subscription import CollectionMethod

Values = Mapping[str, Any]
TOTALS = Totals.__struct_fields__


def invoice_of(row: asyncpg.Record) -> Invoice:
    return Invoice(
        id=row["id"],
        customer_id=row["customer_id"],
        subscription_id=row["subscription_id"],
        status=InvoiceStatus(row["status"]),
        reason=BillingReason(row["reason"]),
        period=Period(row["period_start"], row["period_end"]),
        timezone=row["timezone"],
        currency=row["currency"],
        totals=Totals(**{name: row[name] for name in TOTALS}),
        number=row["number"],
        issued_at=row["issued_at"],
        due_at=row["due_at"],
        finalize_at=row["finalize_at"],
        finalized_at=row["finalized_at"],
        voided_at=row["voided_at"],
        void_reason=row["void_reason"],
        seller=_party(row["seller"]),
        bill_to=_party(row["bill_to"]),
        pdf_key=row["pdf_key"],
        engine_version=row["engine_version"],
        catalog_hash=row["catalog_hash"],
        zone_data=row["zone_data"],
        usage_watermark=row["usage_watermark"],
        metadata=json_of(row["metadata"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        source_id=row["source_id"],
        net_days=row["net_days"],
        collection_method=_collection(row["collection_method"]),
        purchase_order=row["purchase_order"],
        memo=row["memo"],
        edited=row["edited"],
        replaces_id=row["replaces_id"],
        replaced_by_id=row["replaced_by_id"],
        amount_remaining=row["amount_remaining"],
        paid_at=row["paid_at"],
        uncollectible_at=row["uncollectible_at"],
        uncollectible_reason=row["uncollectible_reason"],
        presentation=_presentation(row["presentation"]),
        subscription_ids=tuple(json_of(row["subscription_ids"])),
        consolidated_into_id=row["consolidated_into_id"],
        tax_notes=tuple(json_of(row["tax_notes"])),
        reckoning=json_of(row["reckoning"]),
    )


def _collection(value: str | None) -> CollectionMethod | None:
    return None if value is None else CollectionMethod(value)


def settlement_of(row: asyncpg.Record) -> Settlement:
    return Settlement(
        id=row["id"],
        invoice_id=row["invoice_id"],
        kind=SettlementKind(row["kind"]),
        amount=row["amount"],
        currency=row["currency"],
        source_id=row["source_id"],
        reason=row["reason"],
        created_at=row["created_at"],
    )


def line_of(row: asyncpg.Record) -> InvoiceLine:
    return InvoiceLine(
        id=row["id"],
        invoice_id=row["invoice_id"],
        position=row["position"],
        kind=LineKind(row["kind"]),
        subscription_line_item_id=row["subscription_line_item_id"],
        price_id=row["price_id"],
        meter_id=row["meter_id"],
        description=row["description"],
        group=json_of(row["group_values"]),
        quantity=row["quantity"],
        amount=row["amount"],
        currency=row["currency"],
        service=Period(row["service_start"], row["service_end"]),
        price=json_of(row["price"]),
        explanation=json_of(row["explanation"]),
        discount=row["discount"],
        prepaid=row["prepaid"],
        tax=row["tax"],
        tax_included=row["tax_included"],
        shares=json_of(row["shares"]),
        section=row["section"],
        subscription_id=row["subscription_id"],
        correction_id=row["correction_id"],
    )


def invoice_values(scope: Scope, invoice: Invoice) -> dict[str, Any]:
    """The columns of a new invoice."""
    return {
        "id": invoice.id,
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "created_at": invoice.created_at,
        "updated_at": invoice.updated_at,
        "customer_id": invoice.customer_id,
        "subscription_id": invoice.subscription_id,
        "status": invoice.status,
        "reason": invoice.reason,
        "period_start": invoice.period.start,
        "period_end": invoice.period.end,
        "timezone": invoice.timezone,
        "currency": invoice.currency,
        **computed_values(invoice),
        "due_at": invoice.due_at,
        "finalize_at": invoice.finalize_at,
        "source_id": invoice.source_id,
        "net_days": invoice.net_days,
        "collection_method": invoice.collection_method,
        "purchase_order": invoice.purchase_order,
        "memo": invoice.memo,
        "edited": invoice.edited,
        "replaces_id": invoice.replaces_id,
        "subscription_ids": invoice.subscription_ids,
        "consolidated_into_id": invoice.consolidated_into_id,
        "amount_remaining": 0,
        "metadata": invoice.metadata,
    }


def issued_values(scope: Scope, invoice: Invoice) -> dict[str, Any]:
    """The columns of an invoice that is written as issued."""
    return {
        **invoice_values(scope, invoice),
        "number": invoice.number,
        "issued_at": invoice.issued_at,
        "finalized_at": invoice.finalized_at,
        "seller": invoice.seller,
        "bill_to": invoice.bill_to,
        "presentation": invoice.presentation,
        "amount_remaining": invoice.amount_remaining,
        "paid_at": invoice.paid_at,
    }


def computed_values(invoice: Invoice) -> dict[str, Any]:
    """The columns that computing a draft again writes."""
    return {
        **{name: getattr(invoice.totals, name) for name in TOTALS},
        "engine_version": invoice.engine_version,
        "catalog_hash": invoice.catalog_hash,
        "zone_data": invoice.zone_data,
        "usage_watermark": invoice.usage_watermark,
        "tax_notes": invoice.tax_notes,
        "reckoning": invoice.reckoning,
    }


def line_values(scope: Scope, line: InvoiceLine, at: datetime) -> dict[str, Any]:
    """The columns of a new line."""
    return {
        "id": line.id,
        "tenant_id": scope.tenant_id,
        "environment_id": scope.environment_id,
        "created_at": at,
        "updated_at": at,
        "invoice_id": line.invoice_id,
        "position": line.position,
        "kind": line.kind,
        "subscription_id": line.subscription_id,
        "subscription_line_item_id": line.subscription_line_item_id,
        "price_id": line.price_id,
        "meter_id": line.meter_id,
        "description": line.description,
        "group_values": line.group,
        "quantity": line.quantity,
        "amount": line.amount,
        "currency": line.currency,
        "service_start": line.service.start,
        "service_end": line.service.end,
        "section": line.section,
        "correction_id": line.correction_id,
        "price": line.price,
        "explanation": line.explanation,
        "discount": line.discount,
        "prepaid": line.prepaid,
        "tax": line.tax,
        "tax_included": line.tax_included,
        "shares": line.shares,
    }


class _Documents(NamedTuple):
    """Columns with large documents: one that many rows share, and one that each has of its own."""

    shared: str
    own: str


# From how many rows on it is looked for what they share: few share this or that by chance, and
# every other choice is another statement to prepare.
_MANY = 50
_DOCUMENTS = {"invoice_lines": _Documents(shared="price", own="explanation")}


async def insert(connection: asyncpg.Connection, table: str, rows: Iterable[Values]) -> None:
    """Add rows of the same columns in one statement.

    They travel as JSON that the table's own row type reads: what is the same in all of them
    once, and large documents (`_DOCUMENTS`) apart. COPY is refused on tables with row-level
    security.
    """
    listed = list(rows)
    if not listed:
        return
    documents = _DOCUMENTS.get(table)
    flat = [name for name in listed[0] if documents is None or name not in documents]
    same = {name for name in flat if _is_same(listed, name)} if len(listed) >= _MANY else set()
    columns = [*flat, *(documents or ())]
    read = [f"{'same' if name in same else 'row'}.{name}" for name in flat]
    given: list[object] = [
        _json({name: listed[0][name] for name in same}),
        _json([{name: row[name] for name in flat if name not in same} for row in listed]),
    ]
    found, shared, joins = f"json_populate_recordset(NULL::{table}, $2::json)", "", ""
    if documents is not None:
        found, shared = f"ROWS FROM ({found}, {_APART})", _SHARED
        joins = " JOIN shared ON shared.place = row.unnest"
        read += ["shared.document", "row.string_to_table::jsonb"]
        given += _apart(listed, documents)
    await connection.execute(
        f"{shared}INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(read)} "  # noqa: S608
        f"FROM json_populate_record(NULL::{table}, $1::json) AS same, {found} AS row{joins}",
        *given,
    )


# Read once, however many rows have them.
_SHARED = (
    f"WITH shared AS MATERIALIZED (SELECT document::jsonb, place FROM "  # noqa: S608
    f"string_to_table($5, {SQL_BETWEEN}) WITH ORDINALITY AS each(document, place)) "
)
_APART = f"string_to_table($3, {SQL_BETWEEN}), unnest(string_to_array($4, ',')::int[])"


def _is_same(rows: Sequence[Values], name: str) -> bool:
    """Whether all rows have one value in the column."""
    return [row[name] for row in rows].count(rows[0][name]) == len(rows)


def _apart(rows: Sequence[Values], documents: _Documents) -> tuple[str, str, str]:
    """Each row's own document, the place of the one that it shares, and those that are shared."""
    places: dict[int, int] = {}
    shared: list[str] = []
    chosen: list[str] = []
    for row in rows:
        document = row[documents.shared]
        place = places.get(id(document))
        if place is None:
            shared.append(_json(document))
            place = places[id(document)] = len(shared)
        chosen.append(str(place))
    own = BETWEEN.join([_json(row[documents.own]) for row in rows])
    return own, ",".join(chosen), BETWEEN.join(shared)


def _json(value: Any) -> str:
    return orjson.dumps(value, default=_written).decode()


async def update(connection: asyncpg.Connection, table: str, rows: Iterable[Values]) -> None:
    """Set the columns of rows that are there, each found by its id, in one statement."""
    listed = list(rows)
    if not listed:
        return
    changes = ", ".join(f"{name} = row.{name}" for name in listed[0] if name != "id")
    await connection.execute(
        f"UPDATE {table} SET {changes} "  # noqa: S608 - names of ours
        f"FROM json_populate_recordset(NULL::{table}, $1::json) AS row "
        # So that the table is looked into by its key, and not read in full.
        f"WHERE {table}.id = ANY($2) AND {table}.id = row.id",
        _json(listed),
        [row["id"] for row in listed],
    )


def _written(value: object) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, StrEnum):
        return value.value
    raise TypeError(f"{value!r} does not belong in a row")


def _presentation(value: Any) -> Presentation | None:
    return None if value is None else presentation_of(json_of(value))


def presentation_of(stored: Mapping[str, Any]) -> Presentation:
    """From its document; one of before subscribers were kept has none."""
    kept = stored.get("subscribers", {})
    subscribers = {key: Subscriber(**each) for key, each in kept.items()}
    return Presentation(**{**stored, "subscribers": subscribers})


def _party(value: Any) -> Party | None:
    if value is None:
        return None
    stored = json_of(value)
    return Party(**{**stored, "lines": tuple(stored["lines"])})
