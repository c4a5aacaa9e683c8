"""Settings of an environment: typed, with defaults; what is stored is what differs from them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from app.kernel import checks
from app.kernel.errors import Invalid

_PREFIX = r"^[A-Za-z0-9][A-Za-z0-9/_.-]{0,19}$"


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings that belong together."""


class InvoiceSettings(Section, frozen=True):
    """How invoices are numbered, when they are due and who they are from: `INV-202601-00001`,
    30 days, the tenant under its own name."""

    number_prefix: Annotated[str, Meta(pattern=_PREFIX)] = "INV"
    number_separator: Literal["", "-", "/", "."] = "-"
    number_date: Literal["none", "YYYY", "YYYYMM", "YYYYMMDD"] = "YYYYMM"
    number_digits: Annotated[int, Meta(ge=1, le=12)] = 5
    number_start: Annotated[int, Meta(ge=1, le=999_999_999)] = 1
    number_timezone: str = "UTC"  # decides on which day, month and year an invoice is issued
    due_days: Annotated[int, Meta(ge=0, le=365)] = 30
    # How long a draft waits for late events; None: the installation's billing setting.
    finalization_delay_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] | None = None
    # The seller as printed; kept with each invoice when it is issued.
    seller_name: Annotated[str, Meta(max_length=255)] = ""  # empty: the tenant's name
    seller_lines: Annotated[tuple[str, ...], Meta(max_length=8)] = ()  # the address, from the top
    seller_email: str = ""


class EventSettings(Section, frozen=True):
    """Which events are taken: the window around now outside which they are refused."""

    # None: the installation's.
    max_past_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None
    max_future_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] | None = None


class EnvironmentSettings(Section, frozen=True):
    invoice: InvoiceSettings = InvoiceSettings()
    events: EventSettings = EventSettings()


SECTIONS = {field.name: field.type for field in msgspec.structs.fields(EnvironmentSettings)}


def effective(overrides: Mapping[str, Any]) -> EnvironmentSettings:
    """What is in force: the overrides over the defaults. Raises: Invalid (INVALID_SETTING)."""
    try:
        settings = msgspec.convert(overrides, EnvironmentSettings)
        _check_invoice(settings.invoice)
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
