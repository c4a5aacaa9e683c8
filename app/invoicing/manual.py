"""Lines written by hand: what they say, and the invoice that is made of nothing else. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.catalog.prices import PerUnit, content_hash, numbers, to_json
from app.catalog.prices.explanation import step
from app.invoicing import explanation
from app.invoicing.invoice import (
    BillingReason,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    LineKind,
    Totals,
)
from app.invoicing.rating import ENGINE_VERSION
from app.kernel import checks
from app.kernel.checks import Checks
from app.kernel.copies import replace
from app.kernel.currencies import minor_units
from app.kernel.errors import Invalid
from app.kernel.ids import new_id
from app.kernel.money import Money, total
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.kernel.zones import zone_data_version

MOST_LINES = 1000
# Whole digits of an amount: far below what its column holds, so that totals fit it, too.
_WHOLE_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualLine:
    """`unit_amount` is in major units of the invoice's currency; the line's amount is it times
    `quantity`, rounded once. It is for what was served from `service_start` until before
    `service_end`; None: the invoice's period. `section` None: the heading that lines have
    without one.
    """

    description: str
    unit_amount: Decimal
    quantity: Decimal = Decimal(1)
    service_start: datetime | None = None
    service_end: datetime | None = None
    section: str | None = None

    @property
    def service(self) -> Period | None:
        """Of a line that is checked."""
        if self.service_start is None or self.service_end is None:
            return None
        return Period(self.service_start, self.service_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInvoice:
    """An invoice of lines written by hand. None takes the default: the customer's currency; so
    many days after issue; the span of the lines' services, or the instant itself.

    `key` is the caller's own: a second invoice with it is refused.
    """

    customer_id: str
    lines: tuple[ManualLine, ...]
    key: str | None = None
    currency: str | None = None
    due_at: datetime | None = None
    memo: str | None = None
    purchase_order: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes to an invoice: fields by name (see `FIELDS`), and to its lines written by hand.

    `change` holds a line's id with the fields of it that change.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    add: Sequence[ManualLine] = ()
    change: Sequence[tuple[str, Mapping[str, Any]]] = ()
    remove: Sequence[str] = ()

    @property
    def touches_lines(self) -> bool:
        return bool(self.add or self.change or self.remove)


def checked(line: ManualLine, field: str) -> ManualLine:
    """The line as it is stored. Raises: Invalid, naming what is wrong below `field`."""
    try:
        _check_service(line)
        return replace(
            line,
            description=checks.text(line.description, "description", longest=500),
            unit_amount=numbers.amount(line.unit_amount, "unitAmount"),
            quantity=numbers.positive(line.quantity, "quantity"),
            section=checks.optional_text(line.section, "section"),
        )
    except Invalid as error:
        below = f"{field}.{error.field}"
        message = str(error).replace(f"{error.field}:", f"{below}:", 1)
        raise Invalid(message, field=below, code=error.code) from None


def _check_service(line: ManualLine) -> None:
    if (line.service_start is None) != (line.service_end is None):
        missing = "serviceStart" if line.service_start is None else "serviceEnd"
        raise checks.invalid(missing, "a service has a start and an end, or neither is given")
    if line.service_start and line.service_end and line.service_end < line.service_start:
        raise checks.invalid("serviceEnd", "a service does not end before it starts")


def written(line: ManualLine, invoice: Invoice, *, position: int, field: str) -> InvoiceLine:
    """A checked line on an invoice. Raises: Invalid (TOO_LARGE)."""
    stated = step("stated", {"quantity": line.quantity}, line.quantity)
    model = PerUnit(line.unit_amount)
    decimals = minor_units(invoice.currency)
    tree = explanation.line(model.trace(line.quantity), stated, decimals=decimals)
    amount = EXACT.create_decimal(tree.result)
    if amount.adjusted() >= _WHOLE_DIGITS:
        raise Invalid(
            f"{field}: {amount} is too much; at most {_WHOLE_DIGITS} digits fit before the point",
            field=field,
            code="TOO_LARGE",
        )
    return InvoiceLine(
        id=new_id("invl"),
        invoice_id=invoice.id,
        position=position,
        kind=LineKind.MANUAL,
        subscription_line_item_id=None,
        price_id=None,
        meter_id=None,
        description=line.description,
        group={},
        quantity=line.quantity,
        amount=amount,
        currency=invoice.currency,
        service=line.service or invoice.period,
        price={"currency": invoice.currency, "model": to_json(model)},
        explanation=explanation.to_json(tree),
        section=line.section,
    )


def told(line: InvoiceLine) -> ManualLine:
    """What was written, of a line that `written` has made."""
    return ManualLine(
        description=line.description,
        unit_amount=EXACT.create_decimal(line.price["model"]["unit_amount"]),
        quantity=line.quantity,
        service_start=line.service.start,
        service_end=line.service.end,
        section=line.section,
    )


def blank(command: CreateInvoice, *, currency: str, timezone: str, at: datetime) -> Invoice:
    """The draft of an invoice without its lines."""
    return Invoice(
        id=new_id("inv"),
        customer_id=command.customer_id,
        subscription_id=None,
        status=InvoiceStatus.DRAFT,
        reason=BillingReason.ONE_OFF,
        period=_span(command.lines, at),
        timezone=timezone,
        currency=currency,
        totals=Totals.of(Decimal(0)),
        number=None,
        issued_at=None,
        due_at=command.due_at,
        finalize_at=None,
        finalized_at=None,
        voided_at=None,
        void_reason=None,
        seller=None,
        bill_to=None,
        pdf_key=None,
        engine_version=ENGINE_VERSION,
        catalog_hash=content_hash([]),
        zone_data=zone_data_version(),
        usage_watermark=None,
        metadata=command.metadata,
        created_at=at,
        updated_at=at,
        source_id=command.key,
        purchase_order=command.purchase_order,
        memo=command.memo,
    )


def sums(lines: Iterable[InvoiceLine], currency: str) -> Totals:
    return Totals.of(total((Money(line.amount, line.currency) for line in lines), currency).amount)


def _span(lines: Iterable[ManualLine], at: datetime) -> Period:
    services = [line.service for line in lines if line.service is not None]
    if not services:
        return Period(at, at)
    return Period(min(s.start for s in services), max(s.end for s in services))


# What may be said of an invoice besides its lines.
FIELDS: Checks = {
    "memo": lambda v: checks.optional_text(v, "memo", longest=2000),
    "purchase_order": lambda v: checks.optional_text(v, "purchaseOrder", longest=64),
    "due_at": lambda v: v,
    "metadata": lambda v: checks.metadata(v or {}),
}
# Of a line, what may change.
LINE_FIELDS = frozenset(
    {"description", "unit_amount", "quantity", "service_start", "service_end", "section"}
)
