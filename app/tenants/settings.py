"""Settings of an environment: typed, with defaults; what is stored is what differs from them."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from app.kernel import checks
from app.kernel.errors import Invalid
from app.tenants import locales

# What a number of an invoice or a credit note may begin with.
NUMBER_PREFIX = r"[A-Za-z0-9][A-Za-z0-9/_.-]{0,19}"
_PREFIX = Meta(pattern=f"^{NUMBER_PREFIX}$")
NumberDate = Literal["none", "YY", "YYYY", "YYMM", "YYYYMM", "YYMMDD", "YYYYMMDD"]
CouponOrder = Literal[
    "line_first", "narrowest_first", "attached_first", "percentage_first", "fixed_first"
]
Layout = Literal["standard", "compact", "detailed"]
Sections = Literal["kind", "subscription", "group"]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings that belong together."""


class InvoiceSettings(Section, frozen=True):
    """How invoices are numbered, when they are due and who they are from: `INV-202601-00001`,
    30 days, the tenant under its own name."""

    number_prefix: Annotated[str, _PREFIX] = "INV"
    number_separator: Literal["", "-", "/", "."] = "-"
    number_date: NumberDate = "YYYYMM"
    number_digits: Annotated[int, Meta(ge=1, le=12)] = 5
    number_start: Annotated[int, Meta(ge=1, le=999_999_999)] = 1
    number_timezone: str = "UTC"  # decides on which day, month and year an invoice is issued
    # Credit notes are numbered apart, otherwise alike: `CN-202601-00001`.
    credit_note_prefix: Annotated[str, _PREFIX] = "CN"
    due_days: Annotated[int, Meta(ge=0, le=365)] = 30
    # How long a draft waits for late events; None: the installation's billing setting.
    finalization_delay_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] | None = None
    # What becomes of an invoice that comes to nothing.
    zero_invoices: Literal["skip", "issue", "issue_as_paid"] = "skip"
    # Whether what falls due for a customer on one day becomes one invoice.
    consolidate: bool = False
    # The seller as printed; kept with each invoice when it is issued.
    seller_name: Annotated[str, Meta(max_length=255)] = ""  # empty: the tenant's name
    seller_lines: Annotated[tuple[str, ...], Meta(max_length=8)] = ()  # the address, from the top
    seller_email: str = ""


class AmountSettings(Section, frozen=True):
    """How discounts, credits and taxes lead from the lines of an invoice to what is due."""

    # Which coupons come first; within each, in the order in which they were attached.
    coupon_order: CouponOrder = "line_first"
    # Whether a discount falls on its lines in whole minor units, or in exact proportion.
    discount_spread: Literal["minor_unit", "exact"] = "minor_unit"
    # Whether prepaid credits pay for usage before tax, or for what is due, tax included.
    prepaid_order: Literal["before_tax", "after_tax"] = "before_tax"
    # Whether each tax on an invoice is rounded on its own, or all of them once together.
    tax_rounding: Literal["per_rate", "per_invoice"] = "per_rate"
    # Whether prices hold the tax, where a new tax rate does not say so.
    tax_inclusive: bool = False
    # What an invoice says to a customer who accounts for the tax.
    reverse_charge_legend: Annotated[str, Meta(min_length=1, max_length=500)] = (
        "Reverse charge: the recipient accounts for the tax."
    )


class SellerSettings(Section, frozen=True):
    """Facts about the seller beside the name, as electronic invoices want them; "" for none."""

    street: Annotated[str, Meta(max_length=255)] = ""
    city: Annotated[str, Meta(max_length=255)] = ""
    postal_code: Annotated[str, Meta(max_length=32)] = ""
    country: str = ""  # ISO 3166-1 alpha-2
    tax_id: Annotated[str, Meta(max_length=64)] = ""  # the VAT number, its country first
    registration_number: Annotated[str, Meta(max_length=64)] = ""
    electronic_scheme: Annotated[str, Meta(pattern=r"^(\d{4})?$")] = ""  # ISO 6523, such as 9930
    electronic_id: Annotated[str, Meta(max_length=128)] = ""
    iban: Annotated[str, Meta(max_length=34)] = ""  # where transfers go


class DocumentSettings(Section, frozen=True):
    """What invoices and credit notes look like; kept with each when it is issued."""

    layout: Layout = "standard"
    locale: str = "en-US"  # of numbers, money and days, where the customer has none
    # What lines are grouped under where they have no heading of their own.
    sections: Sections = "kind"
    payment_terms: Annotated[str, Meta(max_length=500)] = ""  # printed below the totals
    # The key in the bucket of the image that `actions.logo` has stored; nobody else sets it.
    logo: Annotated[str, Meta(max_length=200)] = ""


class EventSettings(Section, frozen=True):
    """Which events are taken: the window around now outside which they are refused."""

    # None: the installation's.
    max_past_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    max_future_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] | None = None


class CorrectionSettings(Section, frozen=True):
    """What becomes of usage that changes after it was billed, and how often it is looked at."""

    # A line on the subscription's next invoice; a credit note, or for more an invoice of its
    # own; or a row that somebody accepts or dismisses.
    policy: Literal["next_invoice", "credit_or_debit_note", "review"] = "next_invoice"
    interval_hours: Annotated[int, Meta(ge=1, le=8_760)] = 24

    @property
    def interval(self) -> timedelta:
        return timedelta(hours=self.interval_hours)


class SubscriptionSettings(Section, frozen=True):
    """What new subscriptions have that do not say otherwise."""

    prorate_by: Literal["seconds", "days"] = "seconds"  # how parts of a period are measured


class EnvironmentSettings(Section, frozen=True):
    invoice: InvoiceSettings = InvoiceSettings()
    amounts: AmountSettings = AmountSettings()
    events: EventSettings = EventSettings()
    seller: SellerSettings = SellerSettings()
    documents: DocumentSettings = DocumentSettings()
    corrections: CorrectionSettings = CorrectionSettings()
    subscriptions: SubscriptionSettings = SubscriptionSettings()


SECTIONS = {field.name: field.type for field in msgspec.structs.fields(EnvironmentSettings)}


def effective(overrides: Mapping[str, Any]) -> EnvironmentSettings:
    """What is in force: the overrides over the defaults. Raises: Invalid (INVALID_SETTING)."""
    try:
        settings = msgspec.convert(overrides, EnvironmentSettings)
        _check_invoice(settings.invoice)
        legend = settings.amounts.reverse_charge_legend
        checks.text(legend, "amounts.reverseChargeLegend", longest=500)
        _check_seller(settings.seller)
        _check_documents(settings.documents)
    except msgspec.ValidationError as error:
        raise _explained(str(error), overrides) from None
    except Invalid as error:
        raise Invalid(str(error), field=error.field, code="INVALID_SETTING") from None
    return settings


def _check_invoice(invoice: InvoiceSettings) -> None:
    checks.timezone(invoice.number_timezone, "invoice.numberTimezone")
    if invoice.seller_name:
        checks.text(invoice.seller_name, "invoice.sellerName")
    for index, line in enumerate(invoice.seller_lines):
        checks.text(line, f"invoice.sellerLines[{index}]")
    if invoice.seller_email:
        checks.email(invoice.seller_email, "invoice.sellerEmail")


def _check_seller(seller: SellerSettings) -> None:
    for name in msgspec.structs.fields(SellerSettings):
        if value := getattr(seller, name.name):
            checks.text(value, f"seller.{_camel(name.name)}")
    if seller.iban and not _is_iban(seller.iban):
        raise checks.invalid("seller.iban", f"{seller.iban!r} is not an IBAN without blanks")
    if seller.country:
        checks.country(seller.country, "seller.country")
    if bool(seller.electronic_scheme) != bool(seller.electronic_id):
        raise checks.invalid(
            "seller.electronicScheme", "an electronic address takes a scheme and an id, or neither"
        )


def _check_documents(documents: DocumentSettings) -> None:
    locales.check(documents.locale, "documents.locale")
    if documents.payment_terms:
        checks.text(documents.payment_terms, "documents.paymentTerms", longest=500)


def _is_iban(value: str) -> bool:
    """ISO 13616: the letters as numbers from 10, the first four characters last, 1 modulo 97."""
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", value, re.ASCII):
        return False
    return int("".join(str(int(char, 36)) for char in value[4:] + value[:4])) % 97 == 1


def patched(overrides: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The overrides after a patch of sections: absent stays, null goes back to the default.

    Raises: Invalid (INVALID_SETTING).
    """
    for name, changes in patch.items():
        if name not in SECTIONS or not (changes is None or isinstance(changes, Mapping)):
            raise _explained("unknown section, or not a group of settings", {}, name)
    result = {name: dict(section) for name, section in overrides.items()}
    for name, changes in patch.items():
        section = result.pop(name, {}) if changes is not None else {}
        merged = {**section, **(changes or {})}
        known = {field.name for field in msgspec.structs.fields(SECTIONS[name])}
        unknown = sorted(merged.keys() - known)
        if unknown:
            raise _explained(f"no such setting; there are {', '.join(sorted(known))}", {}, name)
        kept = {key: value for key, value in merged.items() if value is not None}
        if changes is None:
            result.pop(name, None)
        elif kept:
            result[name] = kept
    effective(result)
    return result


def _explained(error: str, values: Mapping[str, Any], path: str | None = None) -> Invalid:
    reason, _, where = error.partition(" - at `$.")
    if path is None:
        path = where.rstrip("`")
    value: Any = values
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    given = "" if value is None else f", got {value!r}"
    spelled = ".".join(_camel(part) for part in path.split("."))
    return Invalid(f"{spelled}: {reason}{given}", field=spelled or None, code="INVALID_SETTING")


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
