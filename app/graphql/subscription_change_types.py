"""Changes of running subscriptions in the graph: what they look like, and what they would do."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from app.catalog.price_override import PriceOverride, from_plain
from app.graphql import (
    credit_note_types,
    invoice_types,
    subscription_line_items,
    subscription_types,
)
from app.graphql.catalog.adjustments import Adjustments
from app.graphql.catalog.price_models import PriceModel, shown
from app.graphql.context import Info
from app.graphql.invoice_previews import InvoicePreview
from app.graphql.node import Node
from app.graphql.permissions import requires
from app.graphql.scalars import Money
from app.graphql.subscription_change_inputs import ChangeMode, Direction, Proration
from app.graphql.subscription_commitments import SubscriptionCommitment
from app.invoicing.actions import ChangePreview
from app.invoicing.actions.change_preview import Note
from app.subscriptions.change import Failure as FailureRow
from app.subscriptions.change import SubscriptionChange as Row
from app.subscriptions.change import (
    SubscriptionChangeKind,
    SubscriptionChangeStatus,
    phase_of,
)
from app.subscriptions.commitments import HeldCommitment
from app.subscriptions.phases import PhaseSpan

if TYPE_CHECKING:
    from app.graphql.credit_note_types import CreditNote
    from app.graphql.invoice_types import Invoice
    from app.graphql.subscription_line_items import SubscriptionLineItem
    from app.graphql.subscription_types import Subscription


@strawberry.type(description="Why a change was refused when it came.")
class SubscriptionChangeFailure:
    code: str = strawberry.field(description="For programs; it never changes.")
    message: str = strawberry.field(description="For people.")

    @classmethod
    def of(cls, row: FailureRow) -> Self:
        return cls(code=row.code, message=row.message)


@strawberry.type(description="How much of a fixed charge a change is to hold.")
class ChangedQuantity:
    price_id: strawberry.ID = strawberry.field(description="Of which price.")
    quantity: Decimal = strawberry.field(description="How much.")


@strawberry.type(description="What a subscription is to pay instead of a price.")
class ChangedPrice:
    price_id: strawberry.ID = strawberry.field(description="Of which price.")
    model: PriceModel | None = strawberry.field(description="Null: as in the price.")
    adjustments: Adjustments | None = strawberry.field(description="Null: as in the price.")
    quantity: Decimal | None = strawberry.field(description="How much is to be held, if named.")


@strawberry.type(description="What a change is to do; fields of other kinds are null.")
class SubscriptionChangeTerms:
    line_item_id: strawberry.ID | None = strawberry.field(
        description="Of a quantity or a price: the line, or the one that has taken over from it."
    )
    quantity: Decimal | None = strawberry.field(description="How much is to be held of it.")
    model: PriceModel | None = strawberry.field(
        description="Of a price: its model; null: as the line has it."
    )
    adjustments: Adjustments | None = strawberry.field(
        description="Of a price: its adjustments; null: as the line has them."
    )
    restores_price: bool = strawberry.field(
        description="Of a price: whether it is to be the catalogue's again."
    )
    addon_id: strawberry.ID | None = strawberry.field(description="The addon to attach.")
    subscription_addon_id: strawberry.ID | None = strawberry.field(
        description="The addon of the subscription to detach, or to hold more or less of."
    )
    plan_id: strawberry.ID | None = strawberry.field(description="The plan to go over to.")
    plan_version_id: strawberry.ID | None = strawberry.field(description="Its version.")
    price_ids: list[strawberry.ID] | None = strawberry.field(
        description="The prices to buy; null: those in the currency and cadence."
    )
    quantities: list[ChangedQuantity] = strawberry.field(
        description="How much of fixed charges is to be held, where that was named."
    )
    overrides: list[ChangedPrice] = strawberry.field(
        description="Prices of the subscription's own, instead of some of the plan."
    )
    keep_overrides: bool = strawberry.field(
        description="Whether what it has of its own is to stay in the prices that take over."
    )
    commitments: list[SubscriptionCommitment] | None = strawberry.field(
        description="Of a phase: what is promised from its first period on; null: as before."
    )

    @classmethod
    def of(cls, terms: Mapping[str, Any]) -> Self:
        price_ids, override = terms.get("price_ids"), terms.get("override")
        own = PriceOverride() if override is None else from_plain(override)
        return cls(
            line_item_id=terms.get("line_item_id"),
            quantity=_decimal(terms.get("quantity")),
            model=None if own.model is None else shown(own.model),
            adjustments=None if own.adjustments is None else Adjustments.of(own.adjustments),
            restores_price="override" in terms and override is None,
            addon_id=terms.get("addon_id"),
            subscription_addon_id=terms.get("holding_id"),
            plan_id=terms.get("plan_id"),
            plan_version_id=terms.get("plan_version_id"),
            price_ids=price_ids,
            quantities=[
                ChangedQuantity(
                    price_id=strawberry.ID(each["price_id"]), quantity=Decimal(each["quantity"])
                )
                for each in terms.get("quantities", ())
            ],
            overrides=[_changed_price(each) for each in terms.get("overrides", ())],
            keep_overrides=terms.get("keep_overrides", False),
            commitments=_promised(terms),
        )


def _promised(terms: Mapping[str, Any]) -> list[SubscriptionCommitment] | None:
    phase = phase_of(terms)
    if phase is None or phase.commitments is None:
        return None
    return [SubscriptionCommitment.of(HeldCommitment(each)) for each in phase.commitments]


def _changed_price(stored: Mapping[str, Any]) -> ChangedPrice:
    own = from_plain(stored)
    return ChangedPrice(
        price_id=strawberry.ID(stored["price_id"]),
        model=None if own.model is None else shown(own.model),
        adjustments=None if own.adjustments is None else Adjustments.of(own.adjustments),
        quantity=_decimal(stored["quantity"]),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@strawberry.type(description="A change of a running subscription: to come, applied or neither.")
class SubscriptionChange(Node):
    subscription_id: strawberry.ID = strawberry.field(description="Of which subscription.")
    customer_id: strawberry.ID = strawberry.field(description="Whose it is.")
    kind: SubscriptionChangeKind = strawberry.field(description="What changes.")
    status: SubscriptionChangeStatus = strawberry.field(description="What became of it.")
    mode: ChangeMode = strawberry.field(description="When it was asked to take effect.")
    proration: Proration = strawberry.field(
        description="What becomes of fees in advance when it takes effect within a period."
    )
    effective_at: datetime = strawberry.field(description="When it takes, or took, effect.")
    applied_at: datetime | None = strawberry.field(
        description="When that was done; null where it was not."
    )
    canceled_at: datetime | None = strawberry.field(
        description="When it was taken back, or its subscription was over; null otherwise."
    )
    failure: SubscriptionChangeFailure | None = strawberry.field(
        description="Why it was refused when it came; null where it was not."
    )
    terms: SubscriptionChangeTerms = strawberry.field(description="What it is to do.")
    direction: Direction | None = strawberry.field(
        description="How the recurring fixed fees compare with what they were, once applied."
    )
    row: strawberry.Private[Row]
    created_at: datetime = strawberry.field(description="When it was asked for.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @strawberry.field(description="Of which subscription.")
    async def subscription(
        self, info: Info
    ) -> Annotated["Subscription", strawberry.lazy("app.graphql.subscription_types")] | None:
        row = await info.context.load.subscription.load(self.subscription_id)
        return None if row is None else subscription_types.Subscription.of(row)

    @strawberry.field(description="The lines that ended with it.")
    async def closed_lines(
        self, info: Info
    ) -> list[
        Annotated["SubscriptionLineItem", strawberry.lazy("app.graphql.subscription_line_items")]
    ]:
        return await _lines(info, self.row.closed_ids)

    @strawberry.field(description="The lines that began with it.")
    async def opened_lines(
        self, info: Info
    ) -> list[
        Annotated["SubscriptionLineItem", strawberry.lazy("app.graphql.subscription_line_items")]
    ]:
        return await _lines(info, self.row.opened_ids)

    @strawberry.field(
        description="The invoice that asks for the rest of the period; null where there is none.",
        extensions=[requires("invoice:read")],
    )
    async def invoice(
        self, info: Info
    ) -> Annotated["Invoice", strawberry.lazy("app.graphql.invoice_types")] | None:
        if self.row.invoice_id is None:
            return None
        row = await info.context.load.invoice.load(self.row.invoice_id)
        return None if row is None else invoice_types.Invoice.of(row)

    @strawberry.field(
        description="The credit notes that give back what was unused.",
        extensions=[requires("credit_note:read")],
    )
    async def credit_notes(
        self, info: Info
    ) -> list[Annotated["CreditNote", strawberry.lazy("app.graphql.credit_note_types")]]:
        rows = await info.context.load.credit_note.load_many(list(self.row.credit_note_ids))
        return [credit_note_types.CreditNote.of(row) for row in rows if row is not None]

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            subscription_id=strawberry.ID(row.subscription_id),
            customer_id=strawberry.ID(row.customer_id),
            kind=row.kind,
            status=row.status,
            mode=row.mode,
            proration=row.proration,
            effective_at=row.effective_at,
            applied_at=row.applied_at,
            canceled_at=row.canceled_at,
            failure=None if row.failure is None else SubscriptionChangeFailure.of(row.failure),
            terms=SubscriptionChangeTerms.of(row.terms),
            direction=row.direction,
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
        )


@strawberry.type(description="What a subscription has from an instant on, as it was agreed on.")
class SubscriptionPhase:
    starts_at: datetime = strawberry.field(description="From then.")
    ends_at: datetime | None = strawberry.field(
        description="Until then, exclusive: where the next one begins, or the last one ends; null: "
        "open."
    )
    change: SubscriptionChange = strawberry.field(
        description="The change that it begins with: its terms, and whether it has begun."
    )

    @classmethod
    def of(cls, row: PhaseSpan) -> Self:
        change = SubscriptionChange.of(row.change)
        return cls(starts_at=row.change.effective_at, ends_at=row.ends_at, change=change)


@strawberry.type(description="What would be given back of one line of an invoice.")
class CreditNotePreviewLine:
    invoice_line_id: strawberry.ID = strawberry.field(description="Of which line.")
    description: str = strawberry.field(description="What the line asked for.")
    amount: Money = strawberry.field(description="Of the line's amount.")
    total: Money = strawberry.field(description="With its shares of discount and tax.")


@strawberry.type(description="A credit note that would be issued.")
class CreditNotePreview:
    invoice_id: strawberry.ID = strawberry.field(
        description="Of which invoice; one that is not there yet where the change is far ahead."
    )
    total: Money = strawberry.field(description="What would be given back.")
    adjusted: Money = strawberry.field(
        description="What of it would come off what remains of that invoice; the rest pays for "
        "the next ones."
    )
    lines: list[CreditNotePreviewLine] = strawberry.field(description="Of which lines how much.")

    @classmethod
    def of(cls, found: Note) -> Self:
        def money(amount: Decimal) -> Money:
            return Money(amount=amount, currency=found.note.currency)

        return cls(
            invoice_id=strawberry.ID(found.note.invoice_id),
            total=money(found.note.total),
            adjusted=money(found.note.adjusted),
            lines=[
                CreditNotePreviewLine(
                    invoice_line_id=strawberry.ID(line.invoice_line_id),
                    description=line.description,
                    amount=money(line.amounts.amount),
                    total=money(line.amounts.total),
                )
                for line in found.lines
            ],
        )


@strawberry.type(description="What a change would do, had everything until then been billed.")
class SubscriptionChangePreview:
    subscription_id: strawberry.ID = strawberry.field(description="Of which subscription.")
    effective_at: datetime = strawberry.field(description="When it would take effect.")
    direction: Direction | None = strawberry.field(
        description="How the recurring fixed fees compare; null for a cancellation."
    )
    invoice: InvoicePreview | None = strawberry.field(
        description="The invoice that would ask for the rest of the period; null for none."
    )
    credit_notes: list[CreditNotePreview] = strawberry.field(
        description="What would be given back of fees that are billed."
    )
    next_invoice: InvoicePreview | None = strawberry.field(
        description="The invoice that follows, with the usage of this moment; null where none "
        "would."
    )

    @classmethod
    def of(cls, found: ChangePreview) -> Self:
        following = found.following
        return cls(
            subscription_id=strawberry.ID(found.subscription_id),
            effective_at=found.effective_at,
            direction=found.direction,
            invoice=None if found.invoice is None else InvoicePreview.of(found.invoice),
            credit_notes=[CreditNotePreview.of(note) for note in found.notes],
            next_invoice=None if following is None else InvoicePreview.of(following),
        )


async def _lines(info: Info, ids: tuple[str, ...]) -> list["SubscriptionLineItem"]:
    rows = await info.context.load.line_item.load_many(list(ids))
    return [subscription_line_items.SubscriptionLineItem.of(row) for row in rows if row is not None]
