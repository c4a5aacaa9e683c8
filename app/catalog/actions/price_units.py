"""What can be done with a price unit: one function per verb, each one transaction."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from app.catalog.actions import named
from app.catalog.actions.inputs import NAMED
from app.catalog.actions.locks import lock
from app.catalog.actions.named import Noun
from app.catalog.errors import Archived
from app.catalog.events import (
    PriceUnitArchived,
    PriceUnitCreated,
    PriceUnitRestored,
    PriceUnitUpdated,
)
from app.catalog.models import PriceUnitTable
from app.catalog.price_unit import CreatePriceUnit, PriceUnit, PriceUnitStatus
from app.catalog.prices import Conversion, numbers
from app.catalog.reads import price_units as reads
from app.kernel import checks
from app.kernel.checks import Checks, checked, required
from app.kernel.copies import fields_of
from app.kernel.currencies import MINOR_UNITS
from app.kernel.errors import Invalid
from app.kernel.scope import Actor, Scope

CODE_LENGTH, SYMBOL_LENGTH = 32, 8

PRICE_UNIT = Noun(
    name="price unit",
    prefix="pun",
    lock="price_units",
    table=PriceUnitTable,
    get=reads.get,
    created=PriceUnitCreated,
    updated=PriceUnitUpdated,
    archived=PriceUnitArchived,
    restored=PriceUnitRestored,
    key="code",
)


async def create(scope: Scope, command: CreatePriceUnit, *, by: Actor, at: datetime) -> PriceUnit:
    """Raises: Invalid, AlreadyExists (another unit has the code)."""
    values = checked(fields_of(command), _CHECKS)
    return await named.create(PRICE_UNIT, scope, values, by=by, at=at)


async def update(
    scope: Scope, unit_id: str, patch: Mapping[str, Any], *, by: Actor, at: datetime
) -> PriceUnit:
    """Change the fields that `patch` holds; an absent field stays as it is.

    Of `name`, `symbol`, `conversion_rate`, `description` and `metadata`. A new rate is for
    prices made afterwards. Raises: Invalid, NotFound, Archived.
    """
    values = checked(patch, _CHANGEABLE)
    return await named.update(PRICE_UNIT, scope, unit_id, values, by=by, at=at)


async def archive(scope: Scope, unit_id: str, *, by: Actor, at: datetime) -> PriceUnit:
    """No new price is given in it; those there are stay. Its code becomes free.

    Raises: NotFound, Archived.
    """
    return await named.archive(PRICE_UNIT, scope, unit_id, by=by, at=at)


async def restore(scope: Scope, unit_id: str, *, by: Actor, at: datetime) -> PriceUnit:
    """Put an archived unit back. Raises: NotFound, NotArchived, AlreadyExists."""
    return await named.restore(PRICE_UNIT, scope, unit_id, by=by, at=at)


async def conversion(
    connection: asyncpg.Connection, scope: Scope, unit_id: str, *, currency: str
) -> Conversion:
    """How a new price in the unit becomes `currency`; the unit is locked against changing.

    Raises: NotFound, Archived, Invalid (PRICE_UNIT_CURRENCY).
    """
    await lock(connection, scope, "price_units", unit_id, shared=True)
    unit = await reads.get(scope, unit_id, field="priceUnitId")
    if unit.status is PriceUnitStatus.ARCHIVED:
        raise Archived("price unit", unit_id, field="priceUnitId")
    if unit.base_currency != currency:
        raise Invalid(
            f"currency: {unit.code} is worth {unit.base_currency}, so a price in it is charged in "
            f"{unit.base_currency}, not in {currency}",
            field="currency",
            code="PRICE_UNIT_CURRENCY",
        )
    return Conversion(unit.id, unit.code, unit.conversion_rate)


def _code(value: str | None) -> str:
    code = checks.key(required(value, "code"), "code")
    if len(code) > CODE_LENGTH:
        raise checks.invalid("code", f"{len(code)} characters are too many; {CODE_LENGTH} fit")
    if code.upper() in MINOR_UNITS:
        raise checks.invalid("code", f"{code} is a currency; take a code that is none")
    return code


def _rate(value: Decimal | None) -> Decimal:
    return numbers.positive(required(value, "conversionRate"), "conversionRate")


_CHANGEABLE: Checks = {
    "name": NAMED["name"],
    "symbol": lambda v: checks.optional_text(v, "symbol", longest=SYMBOL_LENGTH),
    "conversion_rate": _rate,
    "description": NAMED["description"],
    "metadata": NAMED["metadata"],
}
_CHECKS: Checks = {
    **_CHANGEABLE,
    "code": _code,
    "base_currency": lambda v: checks.currency(required(v, "baseCurrency"), "baseCurrency"),
}
