"""A customer: whom a tenant's usage and invoices belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class CustomerStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Address:
    """Where invoices are addressed to. `country` is ISO 3166-1 alpha-2."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class ElectronicAddress:
    """Where electronic invoices are delivered: `scheme` is an ISO 6523 code of four digits, such
    as 0088 for a GLN or 9930 for a German VAT number, and `id` is the address within it."""

    scheme: str
    id: str


class Customer(Struct, frozen=True):
    """A row as everyone above the table sees it.

    `external_id` is the tenant's own name for the customer; events carry it. It is unique
    among the customers of the environment that are not archived. `timezone` is an IANA name
    and becomes the zone of subscriptions created without one. `tax_id` is its VAT or similar
    number, `registration_number` that of the companies' register. `locale` is a BCP 47 tag that
    its documents are formatted by; None: the environment's. `invoice_prefix` numbers its
    invoices apart; None: with the others. `consolidate_invoices` None: as the environment says.
    `parent_id` is the customer it belongs to, which belongs to none itself. `parent_pays`: its
    subscriptions that say nothing else are invoiced to its parent. `inherits`: the family
    subscriptions of its parent count its usage and give to it what they give.
    """

    id: str
    external_id: str
    name: str
    email: str | None
    timezone: str
    currency: str | None
    address: Address
    tax_id: str | None
    registration_number: str | None
    electronic_address: ElectronicAddress | None
    locale: str | None
    invoice_prefix: str | None
    consolidate_invoices: bool | None
    parent_id: str | None
    parent_pays: bool
    inherits: bool
    metadata: Mapping[str, str]
    status: CustomerStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCustomer:
    """`test_clock_id`: the clock it lives on; None: that of its parent, else the environment's
    present."""

    external_id: str
    name: str
    email: str | None = None
    timezone: str = "UTC"
    currency: str | None = None
    address: Address = field(default_factory=Address)
    tax_id: str | None = None
    registration_number: str | None = None
    electronic_address: ElectronicAddress | None = None
    locale: str | None = None
    invoice_prefix: str | None = None
    consolidate_invoices: bool | None = None
    parent_id: str | None = None
    parent_pays: bool = False
    inherits: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    test_clock_id: str | None = None
