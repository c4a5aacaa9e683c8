"""Settings of the environment the caller works in, as the domain types them."""

from enum import Enum
from typing import Annotated, Any, Self

import strawberry

from app.graphql.context import Info
from app.graphql.errors import Rejected
from app.graphql.patch import plain
from app.graphql.permissions import requires
from app.graphql.tenants.acting import recording
from app.graphql.tenants.amount_settings import AmountSettings, AmountSettingsInput
from app.graphql.tenants.correction_settings import CorrectionSettings, CorrectionSettingsInput
from app.graphql.tenants.document_settings import (
    DocumentSettings,
    DocumentSettingsInput,
    SellerSettings,
    SellerSettingsInput,
    ZeroInvoices,
)
from app.graphql.tenants.subscription_settings import (
    SubscriptionSettings,
    SubscriptionSettingsInput,
)
from app.tenants.actions import environments as actions
from app.tenants.reads import environments as reads
from app.tenants.settings import EnvironmentSettings as Row


@strawberry.enum(description="The date in an invoice number.")
class InvoiceNumberDate(Enum):
    NONE = strawberry.enum_value("none", description="No date; one counter for ever.")
    SHORT_YEAR = strawberry.enum_value("YY", description="26; a counter per year.")
    SHORT_MONTH = strawberry.enum_value("YYMM", description="2601; a counter per month.")
    SHORT_DAY = strawberry.enum_value("YYMMDD", description="260131; a counter per day.")
    YEAR = strawberry.enum_value("YYYY", description="2026; a counter per year.")
    MONTH = strawberry.enum_value("YYYYMM", description="202601; a counter per month.")
    DAY = strawberry.enum_value("YYYYMMDD", description="20260131; a counter per day.")


@strawberry.type(description="How invoices are numbered, when they are due, and who they are from.")
class InvoiceSettings:
    number_prefix: str = strawberry.field(description="INV in INV-202601-00001.")
    number_separator: str = strawberry.field(description="The dash in INV-202601-00001.")
    number_date: InvoiceNumberDate = strawberry.field(description="202601 in INV-202601-00001.")
    number_digits: int = strawberry.field(description="The least width of the count.")
    number_start: int = strawberry.field(description="The first count.")
    number_timezone: str = strawberry.field(
        description="IANA zone; decides on which day an invoice is issued."
    )
    credit_note_prefix: str = strawberry.field(
        description="CN in CN-202601-00001: credit notes are numbered apart, otherwise alike."
    )
    due_days: int = strawberry.field(description="How many days after issue it is due.")
    zero_invoices: ZeroInvoices = strawberry.field(
        description="What becomes of an invoice that comes to nothing."
    )
    consolidate: bool = strawberry.field(
        description="Whether what falls due for a customer on one day becomes one invoice, "
        "where the customer says nothing."
    )
    finalization_delay_seconds: int | None = strawberry.field(
        description="How long a draft waits for late events; null: the installation's setting."
    )
    seller_name: str = strawberry.field(
        description="Who sells, as printed on invoices; empty: the tenant's name."
    )
    seller_lines: list[str] = strawberry.field(
        description="The seller's address and registrations, from top to bottom."
    )
    seller_email: str = strawberry.field(
        description="Where the seller is written to; empty: nothing is printed."
    )


@strawberry.type(description="Which events are taken.")
class EventSettings:
    max_past_days: int | None = strawberry.field(
        description="How old an event may be; null: the installation's setting."
    )
    max_future_seconds: int | None = strawberry.field(
        description="How far in the future an event may lie; null: the installation's setting."
    )


@strawberry.type(description="Settings of one environment, defaults included.")
class EnvironmentSettings:
    invoice: InvoiceSettings = strawberry.field(description="Of invoices.")
    amounts: AmountSettings = strawberry.field(description="Of amounts.")
    events: EventSettings = strawberry.field(description="Of events.")
    seller: SellerSettings = strawberry.field(description="Of the seller.")
    documents: DocumentSettings = strawberry.field(description="Of documents.")
    corrections: CorrectionSettings = strawberry.field(description="Of corrections.")
    subscriptions: SubscriptionSettings = strawberry.field(description="Of new subscriptions.")

    @classmethod
    def of(cls, row: Row) -> Self:
        invoice, events = row.invoice, row.events
        return cls(
            invoice=InvoiceSettings(
                number_prefix=invoice.number_prefix,
                number_separator=invoice.number_separator,
                number_date=InvoiceNumberDate(invoice.number_date),
                number_digits=invoice.number_digits,
                number_start=invoice.number_start,
                number_timezone=invoice.number_timezone,
                credit_note_prefix=invoice.credit_note_prefix,
                due_days=invoice.due_days,
                zero_invoices=ZeroInvoices(invoice.zero_invoices),
                consolidate=invoice.consolidate,
                finalization_delay_seconds=invoice.finalization_delay_seconds,
                seller_name=invoice.seller_name,
                seller_lines=list(invoice.seller_lines),
                seller_email=invoice.seller_email,
            ),
            events=EventSettings(
                max_past_days=events.max_past_days,
                max_future_seconds=events.max_future_seconds,
            ),
            amounts=AmountSettings.of(row.amounts),
            seller=SellerSettings.of(row.seller),
            documents=DocumentSettings.of(row.documents),
            corrections=CorrectionSettings.of(row.corrections),
            subscriptions=SubscriptionSettings.of(row.subscriptions),
        )


@strawberry.input(description="Changes to invoice settings; null puts one back to its default.")
class InvoiceSettingsInput:
    number_prefix: strawberry.Maybe[str | None] = strawberry.field(
        description="Letters, digits and `/ _ . -`, at most 20."
    )
    number_separator: strawberry.Maybe[str | None] = strawberry.field(
        description="Nothing, or one of `- / .`."
    )
    number_date: strawberry.Maybe[InvoiceNumberDate | None] = strawberry.field(
        description="The date in the number."
    )
    number_digits: strawberry.Maybe[int | None] = strawberry.field(description="1 to 12.")
    number_start: strawberry.Maybe[int | None] = strawberry.field(description="1 or more.")
    number_timezone: strawberry.Maybe[str | None] = strawberry.field(description="IANA zone.")
    credit_note_prefix: strawberry.Maybe[str | None] = strawberry.field(
        description="Letters, digits and `/ _ . -`, at most 20."
    )
    due_days: strawberry.Maybe[int | None] = strawberry.field(description="0 to 365.")
    zero_invoices: strawberry.Maybe[ZeroInvoices | None] = strawberry.field(
        description="What becomes of an invoice that comes to nothing."
    )
    consolidate: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether what falls due for a customer on one day becomes one invoice."
    )
    finalization_delay_seconds: strawberry.Maybe[int | None] = strawberry.field(
        description="0 to 2,592,000."
    )
    seller_name: strawberry.Maybe[str | None] = strawberry.field(
        description="Who sells, as printed on invoices issued from now on; at most 255 characters."
    )
    seller_lines: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="The seller's address and registrations, from top to bottom: at most 8 lines "
        "of at most 255 characters."
    )
    seller_email: strawberry.Maybe[str | None] = strawberry.field(
        description="Where the seller is written to."
    )


@strawberry.input(description="Changes to event settings; null puts one back to its default.")
class EventSettingsInput:
    max_past_days: strawberry.Maybe[int | None] = strawberry.field(description="1 to 36,500.")
    max_future_seconds: strawberry.Maybe[int | None] = strawberry.field(
        description="0 to 2,592,000."
    )


@strawberry.input(
    description="Changes to the settings. What is absent stays as it is; null puts a whole group "
    "back to its defaults."
)
class SettingsUpdateInput:
    invoice: strawberry.Maybe[InvoiceSettingsInput | None] = strawberry.field(
        description="Of invoices."
    )
    amounts: strawberry.Maybe[AmountSettingsInput | None] = strawberry.field(
        description="Of amounts."
    )
    events: strawberry.Maybe[EventSettingsInput | None] = strawberry.field(description="Of events.")
    seller: strawberry.Maybe[SellerSettingsInput | None] = strawberry.field(
        description="Of the seller."
    )
    corrections: strawberry.Maybe[CorrectionSettingsInput | None] = strawberry.field(
        description="Of corrections."
    )
    subscriptions: strawberry.Maybe[SubscriptionSettingsInput | None] = strawberry.field(
        description="Of new subscriptions."
    )
    documents: strawberry.Maybe[DocumentSettingsInput | None] = strawberry.field(
        description="Of documents."
    )

    def patch(self) -> dict[str, Any]:
        changes: dict[str, Any] = plain(self)
        return {name: _values(section) for name, section in changes.items()}


SettingsResult = Annotated[
    EnvironmentSettings | Rejected,
    strawberry.union(
        "SettingsResult", description="The settings as they are now, or why nothing was changed."
    ),
]


@strawberry.type
class SettingsQuery:
    @strawberry.field(
        description="The settings in force in the environment, defaults included.",
        extensions=[requires("setting:read")],
    )
    async def settings(self, info: Info) -> EnvironmentSettings:
        return EnvironmentSettings.of(await reads.settings(info.context.scope))


@strawberry.type
class SettingsMutation:
    @strawberry.mutation(
        description="Change settings of the environment.", extensions=[requires("setting:write")]
    )
    async def settings_update(
        self,
        info: Info,
        input: Annotated[SettingsUpdateInput, strawberry.argument(description="The changes.")],
    ) -> SettingsResult:
        ctx = info.context
        row = await actions.update_settings(ctx.scope, input.patch(), **recording(ctx))
        return EnvironmentSettings.of(row)


def _values(section: dict[str, Any] | None) -> dict[str, Any] | None:
    if section is None:
        return None
    return {
        name: value.value if isinstance(value, Enum) else value for name, value in section.items()
    }
