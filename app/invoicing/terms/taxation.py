"""Whom a tax is asked of, and who is spared it. Pure.

Rates are associated with an invoice, a subscription, a customer, or the environment as a whole.
The most specific of these that has any association in force wins, and all of its rates apply.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TaxLevel(StrEnum):
    """What an association is with, the most specific first."""

    INVOICE = "invoice"
    SUBSCRIPTION = "subscription"
    CUSTOMER = "customer"
    ENVIRONMENT = "environment"


class TaxTreatment(StrEnum):
    STANDARD = "standard"
    EXEMPT = "exempt"
    """The customer is spared the tax."""
    REVERSE_CHARGE = "reverse_charge"
    """The customer accounts for the tax."""


class TaxAssociationStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class TaxAssociation:
    """A row as everyone above the table sees it.

    At most one of the three ids is set; none of them means the environment. `priority`: lower
    numbers first, which is what compound rates go by. `auto_apply` False: it is there, and does
    nothing. In force at tax points from `starts_at` (None: always) until before `ends_at`
    (None: no end).
    """

    id: str
    tax_rate_id: str
    customer_id: str | None
    subscription_id: str | None
    invoice_id: str | None
    priority: int
    auto_apply: bool
    starts_at: datetime | None
    ends_at: datetime | None
    status: TaxAssociationStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    @property
    def level(self) -> TaxLevel:
        if self.invoice_id is not None:
            return TaxLevel.INVOICE
        if self.subscription_id is not None:
            return TaxLevel.SUBSCRIPTION
        return TaxLevel.ENVIRONMENT if self.customer_id is None else TaxLevel.CUSTOMER

    @property
    def owner_id(self) -> str | None:
        """The one that it is with; None: the environment."""
        return self.invoice_id or self.subscription_id or self.customer_id

    def applies(self, at: datetime) -> bool:
        """Whether it does anything at a tax point."""
        return self.archived_at is None and self.auto_apply and _within(self, at)


@dataclass(frozen=True, slots=True)
class TaxExemption:
    """Why a customer is not asked for tax, and what invoices say of it.

    `kind` is exempt or reverse charge. `tax_rate_ids` names the rates it is about; none means
    every rate. `reason` is why, `certificate` what proves it; `legend` is printed in place of
    what is said otherwise. In force like an association.
    """

    id: str
    customer_id: str
    kind: TaxTreatment
    tax_rate_ids: tuple[str, ...]
    reason: str
    certificate: str | None
    legend: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    status: TaxAssociationStatus
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    def applies(self, at: datetime) -> bool:
        return self.archived_at is None and _within(self, at)

    def covers(self, tax_rate_id: str) -> bool:
        return not self.tax_rate_ids or tax_rate_id in self.tax_rate_ids

    def note(self, reverse_charge_legend: str) -> str:
        """What an invoice says of it."""
        if self.legend is not None:
            return self.legend
        if self.kind is TaxTreatment.REVERSE_CHARGE:
            return reverse_charge_legend
        proof = "" if self.certificate is None else f" (certificate {self.certificate})"
        return f"Exempt from tax: {self.reason}{proof}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTaxAssociation:
    """None of the three ids: with the environment. The rate by id or by code."""

    tax_rate_id: str | None = None
    code: str | None = None
    customer_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None
    priority: int = 100
    auto_apply: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTaxExemption:
    customer_id: str
    kind: TaxTreatment
    reason: str
    certificate: str | None = None
    legend: str | None = None
    tax_rate_ids: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taxed:
    """Whose associations with taxes count for an invoice."""

    invoice_id: str
    subscription_id: str | None
    customer_id: str


def winning(
    associations: Sequence[TaxAssociation], taxed: Taxed, at: datetime
) -> list[TaxAssociation]:
    """Those of the most specific level that has any in force, by priority."""
    wanted: Mapping[TaxLevel, str | None] = {
        TaxLevel.INVOICE: taxed.invoice_id,
        TaxLevel.SUBSCRIPTION: taxed.subscription_id,
        TaxLevel.CUSTOMER: taxed.customer_id,
        TaxLevel.ENVIRONMENT: None,
    }
    for level in TaxLevel:
        found = [
            each
            for each in associations
            if each.level is level and each.owner_id == wanted[level] and each.applies(at)
        ]
        if found:
            return sorted(found, key=lambda each: (each.priority, each.id))
    return []


def _within(period: TaxAssociation | TaxExemption, at: datetime) -> bool:
    return (period.starts_at is None or period.starts_at <= at) and (
        period.ends_at is None or at < period.ends_at
    )
