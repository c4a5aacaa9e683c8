"""Runs the cases of invoice.json through the arithmetic of invoices.

Each adapter takes a case's `input` and gives what its `expected` may hold.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.invoicing.amounts import (
    Balance,
    Discount,
    Line,
    Rate,
    Reckoned,
    Rules,
    Spread,
    Stage,
    TaxRounding,
    Terms,
    reckon,
)
from app.invoicing.amounts.minimum import prorated, true_up
from app.invoicing.amounts.progressive import Thresholds, billed
from app.invoicing.amounts.unused import unused_credit
from app.kernel.quantity import fraction_rounded
from app.kernel.shares import proportional

Case = Mapping[str, Any]

_STAGES = {
    "discounts": Stage.DISCOUNTS,
    "prepaid": Stage.PREPAID,
    "tax": Stage.TAX,
    "credit_notes": Stage.CREDITS,
}
_ROUNDING = {"invoice": TaxRounding.PER_INVOICE, "per_tax": TaxRounding.PER_RATE}


def invoiced(case: Case) -> dict[str, Any]:
    """A whole invoice through the stages that the case names."""
    reckoned = reckon(
        [Line(line["id"], Decimal(line["amount"]), line["kind"]) for line in case["lines"]],
        _terms(case),
        currency=case.get("currency", "USD"),
        decimals=_decimals(case),
        rules=Rules(
            stages=tuple(_STAGES[stage] for stage in case["pipeline"]),
            spread=Spread.EXACT,
            tax_rounding=_ROUNDING[case.get("tax_rounding", "invoice")],
            round_lines=case.get("round_lines", False),
        ),
    )
    totals = reckoned.totals
    return {
        "subtotal": totals.subtotal,
        "discount": totals.discount,
        "discount_by_line": _discount_by_line(reckoned, _decimals(case)),
        "tax": totals.tax,
        "tax_by_rate": _tax_by_rate(reckoned),
        "prepaid": totals.prepaid,
        "prepaid_used": [
            _drawn(reckoned, f"prepaid-{index}") for index in range(len(case.get("prepaid", ())))
        ],
        "total": totals.amount_due,
    }


def minimum(case: Case) -> dict[str, Decimal]:
    decimals, share = _decimals(case), Fraction(case["active_days"], case["period_days"])
    fees = [Decimal(fee) for fee in case["fees"]]
    if "plan_fee" in case:
        fee = Decimal(case["plan_fee"])
        part = share if case.get("plan_fee_prorated", False) else Fraction(1)
        fees.append(prorated(fee, part, decimals))
    missing = true_up(Decimal(case["minimum"]), share, fees, decimals)
    reckoned = reckon(
        [Line(str(index), amount) for index, amount in enumerate([*fees, missing.amount])],
        Terms(
            rates=[Rate(id="tax", percent=Decimal(case.get("tax_percent", "0")))],
            credits=_balances("credit", case.get("credit_note", ())),
        ),
        currency=case.get("currency", "USD"),
        decimals=decimals,
        rules=Rules(spread=Spread.EXACT, tax_rounding=TaxRounding.PER_INVOICE),
    )
    return {
        "minimum_prorated": missing.minimum,
        "true_up": missing.amount,
        "subtotal": reckoned.totals.subtotal,
        "tax": reckoned.totals.tax,
        "total": reckoned.totals.amount_due,
    }


def credits_before_total(case: Case) -> dict[str, Any]:
    """Credits that are part of the invoice itself; a minimum raises what they are taken off."""
    lines = [Decimal(line) for line in case["lines"]]
    missing = true_up(Decimal(case.get("minimum", "0")), Fraction(1), lines, _decimals(case))
    reckoned = reckon(
        [Line(str(index), amount) for index, amount in enumerate([*lines, missing.amount])],
        Terms(credits=_balances("credit", case["credits"])),
        currency=case.get("currency", "USD"),
        decimals=_decimals(case),
        rules=Rules(stages=(Stage.CREDITS,)),
    )
    if reckoned.totals.credited != sum(Decimal(each) for each in case["credits"]):
        return {"error": "credits_exceed_lines"}
    return {"total": reckoned.totals.amount_due}


def allocation(case: Case) -> dict[str, list[Decimal]]:
    decimals = _decimals(case)
    whole = Decimal(case["total"]).scaleb(decimals)
    parts = proportional(int(whole), [Fraction(weight) for weight in case["weights"]])
    return {"parts": [Decimal(part).scaleb(-decimals) for part in parts]}


def progressive(case: Case) -> dict[str, Any]:
    recurring = case.get("recurring_threshold")
    thresholds = Thresholds(
        tuple(Decimal(threshold) for threshold in case["thresholds"]),
        None if recurring is None else Decimal(recurring),
    )
    price = Decimal(case["unit_amount"])
    spent = [Decimal(units) * price for units in case["usage_events"]]
    invoices = list(billed(thresholds, spent))
    credit = sum((amount for amount in invoices if amount is not None), Decimal(0))
    final = reckon(
        [Line("fees", Decimal(case["final_fees"]))],
        Terms(credits=[Balance(id="billed", amount=credit)]),
        currency="USD",
        decimals=_decimals(case),
        rules=Rules(),
    )
    return {
        "invoices": invoices,
        "final_credit": final.totals.credited,
        "final_total": final.totals.amount_due,
    }


def credit_note(case: Case) -> dict[str, Decimal]:
    found = unused_credit(
        Decimal(case["amount"]),
        Fraction(case["unused_days"], case["period_days"]),
        tax_percent=Decimal(case.get("tax_percent", "0")),
        decimals=_decimals(case),
    )
    return {"credit": found.net, "tax": found.tax, "total": found.total}


def _terms(case: Case) -> Terms:
    scope = case.get("prepaid_scope")
    kinds = (
        None if scope in (None, "all") else frozenset([scope] if isinstance(scope, str) else scope)
    )
    return Terms(
        discounts=[_discount(index, each) for index, each in enumerate(case.get("discounts", ()))],
        prepaid=_balances("prepaid", case.get("prepaid", ()), kinds),
        rates=_rates(case["lines"]),
        credits=_balances("credit", case.get("credit_notes", ())),
    )


def _discount(index: int, each: Mapping[str, Any]) -> Discount:
    value, scope = Decimal(each["value"]), each["scope"]
    return Discount(
        id=str(index),
        percent=value if each["type"] == "percent" else None,
        amount=value if each["type"] == "fixed" else None,
        currency=each.get("currency"),
        lines=None if scope == "all" else frozenset(scope),
    )


def _balances(
    name: str, amounts: str | Sequence[str], kinds: frozenset[str] | None = None
) -> list[Balance]:
    listed = [amounts] if isinstance(amounts, str) else amounts
    return [
        Balance(id=f"{name}-{index}", amount=Decimal(amount), kinds=kinds)
        for index, amount in enumerate(listed)
    ]


def _rates(lines: Sequence[Mapping[str, Any]]) -> list[Rate]:
    """One rate per percentage, on the lines that bear it."""
    percents = list(dict.fromkeys(percent for line in lines for percent in line["taxes"]))
    return [
        Rate(
            id=percent,
            percent=Decimal(percent),
            lines=frozenset(line["id"] for line in lines if percent in line["taxes"]),
        )
        for percent in percents
    ]


def _discount_by_line(reckoned: Reckoned, decimals: int) -> dict[str, Decimal]:
    return {
        line.id: fraction_rounded(
            sum((taken.exact[place] for taken in reckoned.discounts), Fraction(0)) / 10**decimals, 4
        )
        for place, line in enumerate(reckoned.lines)
    }


def _tax_by_rate(reckoned: Reckoned) -> dict[str, Decimal]:
    return {each.rate.id: reckoned.sheet.major(each.amount) for each in reckoned.taxes}


def _drawn(reckoned: Reckoned, balance_id: str) -> Decimal:
    found = [drawn.amount for drawn in reckoned.prepaid if drawn.balance.id == balance_id]
    return reckoned.sheet.major(sum(found))


def _decimals(case: Case) -> int:
    return int(case.get("decimals", 2))


ADAPTERS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    "discount_credit": invoiced,
    "coupon": invoiced,
    "coupon_tax": invoiced,
    "tax": invoiced,
    "prepaid": invoiced,
    "minimum": minimum,
    "credits_before_total": credits_before_total,
    "allocation": allocation,
    "progressive": progressive,
    "credit_note": credit_note,
}
