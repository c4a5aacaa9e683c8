"""Runs the cases of proration.json through the arithmetic of proration.

Each adapter takes a case's `input` and gives what its `expected` may hold.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from app.catalog.prices import PerUnit
from app.kernel.period import Period, day_count
from app.kernel.quantity import EXACT, fraction_rounded
from app.subscriptions import proration
from app.subscriptions.periods import Service
from app.subscriptions.proration import ProrationPolicy

Case = Mapping[str, Any]
Answer = Mapping[str, Decimal | Fraction | int]


def partial_charge(case: Case) -> Answer:
    service = Service(_period(case["service"]), _period(case["period"]))
    charge = EXACT.multiply(Decimal(case["amount"]), Decimal(case.get("quantity", "1")))
    amount = fraction_rounded(proration.prorated(charge, service, _policy(case)), case["decimals"])
    return {"amount": amount, **_taxed(amount, case)}


def plan_change(case: Case) -> Answer:
    at, period = _instant(case["at"]), _period(case["period"])
    new_period = _period(case["new_period"]) if "new_period" in case else period
    change = proration.changed(
        (_charge(case["old"]), Service(Period(at, period.end), period)),
        (_charge(case["new"]), Service(Period(at, new_period.end), new_period)),
        decimals=case["decimals"],
        policy=_policy(case),
    )
    found = {"credit": change.credit, "charge": change.charge, "net": change.net}
    if taxed := _taxed(change.credit, case):
        found["credit_incl_tax"] = taxed["total"]
    return found


def cancel_credit(case: Case) -> Answer:
    policy = _policy(case)
    rest = proration.unused(_period(case["period"]), _instant(case["at"]), policy)
    amount = EXACT.multiply(Decimal(case["amount"]), Decimal(case.get("quantity", "1")))
    credit = fraction_rounded(proration.prorated(amount, rest, policy), case["decimals"])
    return {"credit": credit, **_taxed(credit, case)}


def credit_cap(case: Case) -> Answer:
    found = proration.credit_cap(
        Decimal(case["potential_credit"]),
        paid=Decimal(case["original_paid"]),
        credited=Decimal(case["credits_already_issued"]),
    )
    return {"credit": found}


def units_ceiled(case: Case) -> Answer:
    price = PerUnit(Decimal(case["unit_amount"]))
    units, part = Decimal(case["units"]), Fraction(case["days_active"], case["days_in_period"])
    ceiled = ProrationPolicy("days", unit_decimals=case["unit_decimals"])
    prorated = proration.prorated_units(units, part, ceiled)
    exact = proration.prorated_units(units, part)
    return {
        "prorated_units": prorated,
        "amount": fraction_rounded(Fraction(price.amount(prorated)), 2),
        "amount_without_unit_rounding": fraction_rounded(Fraction(price.amount(exact)), 2),
    }


def days(case: Case) -> Answer:
    return {"days": day_count(_period(case), ZoneInfo(case["timezone"]))}


def _taxed(amount: Decimal, case: Case) -> dict[str, Decimal]:
    """The tax on a rounded amount, rounded; nothing where the case has none."""
    if case.get("tax_percent") is None:
        return {}
    rate = Fraction(case["tax_percent"]) / 100
    tax = fraction_rounded(Fraction(amount) * rate, case["decimals"])
    return {"tax": tax, "total": EXACT.add(amount, tax)}


def _policy(case: Case) -> ProrationPolicy:
    return ProrationPolicy(
        case["strategy"], ZoneInfo(case["timezone"]), case.get("cancel_day_billed", False)
    )


def _charge(given: Mapping[str, Any]) -> Decimal:
    return EXACT.multiply(Decimal(given["unit_amount"]), Decimal(given["quantity"]))


def _period(given: Mapping[str, Any]) -> Period:
    return Period(_instant(given["start"]), _instant(given["end"]))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


ADAPTERS: dict[str, Callable[[Case], Answer]] = {
    "partial_charge": partial_charge,
    "plan_change": plan_change,
    "cancel_credit": cancel_credit,
    "credit_cap": credit_cap,
    "units_ceiled": units_ceiled,
    "day_count": days,
}
