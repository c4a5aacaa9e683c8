"""What can be done with a tax rate: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.catalog.actions import named
from app.catalog.actions.inputs import NAMED, money, percentage
from app.catalog.actions.named import Noun
from app.catalog.events import (
    TaxRateArchived,
    TaxRateCreated,
    TaxRateRestored,
    TaxRateUpdated,
)
from app.catalog.models import TaxRateTable
from app.catalog.reads import tax_rates as reads
from app.catalog.tax_rate import CreateTaxRate, TaxRate, TaxRateKind
from app.kernel import checks
from app.kernel.checks import Checks, checked
from app.kernel.errors import Invalid
from app.kernel.scope import Actor, Scope
from app.tenants.reads import environments

_MOST_PERCENT = Decimal(1000)

TAX_RATE = Noun(
    name="tax rate",
    prefix="txr",
    lock="tax_rates",
    table=TaxRateTable,
    get=reads.get,
    created=TaxRateCreated,
    updated=TaxRateUpdated,
    archived=TaxRateArchived,
    restored=TaxRateRestored,
    key="code",
)


async def create(scope: Scope, command: CreateTaxRate, *, by: Actor, at: datetime) -> TaxRate:
    """Raises: Invalid, AlreadyExists (another rate has the code)."""
    named_values = checked({name: getattr(command, name) for name in _CHANGEABLE}, _CHANGEABLE)
    _check_value(command)
    inclusive = command.inclusive
    if inclusive is None:
        inclusive = (await environments.settings(scope)).amounts.tax_inclusive
    values = {
        **named_values,
        "code": checks.key(command.code, "code"),
        "kind": TaxRateKind.FIXED if command.percent is None else TaxRateKind.PERCENTAGE,
        "percent": command.percent,
        "amount": command.amount,
        "currency": command.currency,
        "inclusive": inclusive,
        "compound": command.compound,
    }
    return await named.create(TAX_RATE, scope, values, by=by, at=at)


async def update(
    scope: Scope, tax_rate_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> TaxRate:
    """Change the fields that `patch` holds (`name`, `description`, `metadata`).

    What it comes to never changes: end its associations and make another rate.
    Raises: Invalid, NotFound, Archived.
    """
    values = checked(patch, _CHANGEABLE)
    return await named.update(TAX_RATE, scope, tax_rate_id, values, by=by, at=at)


async def archive(scope: Scope, tax_rate_id: str, *, by: Actor, at: datetime) -> TaxRate:
    """Nothing new is associated with it; what is stays. Its code becomes free.

    Raises: NotFound, Archived.
    """
    return await named.archive(TAX_RATE, scope, tax_rate_id, by=by, at=at)


async def restore(scope: Scope, tax_rate_id: str, *, by: Actor, at: datetime) -> TaxRate:
    """Put an archived rate back. Raises: NotFound, NotArchived, AlreadyExists."""
    return await named.restore(TAX_RATE, scope, tax_rate_id, by=by, at=at)


def _check_value(command: CreateTaxRate) -> None:
    if (command.percent is None) == (command.amount is None):
        raise Invalid(
            "rate: give either a percentage or an amount", field="rate", code="INVALID_TAX_RATE"
        )
    if command.percent:  # 0 % is a rate, too: what it is put on is taxed at nothing
        percentage(command.percent, "rate.percent", most=_MOST_PERCENT)
    if (command.amount is None) != (command.currency is None):
        raise Invalid(
            "rate.amount.currency: an amount is in a currency, and a percentage in none",
            field="rate.amount.currency",
            code="INVALID_CURRENCY",
        )
    if command.amount is not None:
        money(command.amount, command.currency or "", "rate.amount")


_CHANGEABLE: Checks = {name: check for name, check in NAMED.items() if name != "lookup_key"}
