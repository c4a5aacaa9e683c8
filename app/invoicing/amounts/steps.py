"""How the amounts of an invoice came about, as trees that evaluate to them. Pure.

The form is that of a price's explanation. `due` explains the whole invoice; `line` goes on from
a line's own explanation, by its shares, to what is asked for it in the end.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from app.catalog.prices.explanation import Inputs, Rule, Step, number, step, text
from app.invoicing.amounts.discounts import DiscountTaken
from app.invoicing.amounts.pipeline import Reckoned
from app.invoicing.amounts.prepaid import Drawn
from app.invoicing.amounts.rules import TaxRounding
from app.invoicing.amounts.sheet import Exact, Sheet
from app.invoicing.amounts.taxes import TaxTaken
from app.kernel.quantity import fraction_rounded, plain


def _rounded(inputs: Inputs, value: Fraction) -> Fraction:
    return Fraction(fraction_rounded(value, int(number(inputs, "decimals"))))


def _percentage(inputs: Inputs) -> Fraction:
    base = number(inputs, "base")
    return min(_rounded(inputs, base * number(inputs, "percent") / 100), base)


def _share(inputs: Inputs) -> Fraction:
    exact = number(inputs, "whole") * number(inputs, "weight") / number(inputs, "weights")
    return exact + number(inputs, "rounding")


def _sum(_: Inputs, parts: Iterable[Fraction]) -> Fraction:
    return sum(parts, Fraction(0))


RULES: dict[str, Rule] = {
    "amount_due": Rule(
        "the total less what credits pay, never below zero",
        lambda _, parts: max(parts[0] - parts[1], Fraction(0)),
    ),
    "total": Rule(
        "subtotal − discounts − prepaid credits + taxes on top; the taxes included in the lines, "
        "the last part, are in the subtotal already",
        lambda _, parts: parts[0] - parts[1] - parts[2] + parts[3],
    ),
    "subtotal": Rule("the sum of the lines", _sum),
    "line_amount": Rule("what the line comes to", lambda i, _: number(i, "amount")),
    "discounts": Rule("the sum of the discounts", _sum),
    "percentage_off": Rule(
        "percent of the base, rounded, and at most the base", lambda i, _: _percentage(i)
    ),
    "amount_off": Rule(
        "the amount, and at most the base",
        lambda i, _: min(number(i, "amount"), number(i, "base")),
    ),
    "off_each_line": Rule("the sum of what is taken off each line on its own", _sum),
    "room": Rule(
        "the discount, and at most what all lines together have left",
        lambda i, parts: min(parts[0], number(i, "left")),
    ),
    "rounded_on": Rule(
        "what the discounts come to with this one, rounded, less what they came to before it",
        lambda i, parts: _rounded(i, number(i, "before") + parts[0]) - number(i, "rounded_before"),
    ),
    "prepaid": Rule("the sum of what prepaid credits pay", _sum),
    "credits": Rule("the sum of what credits of earlier invoices pay", _sum),
    "drawn": Rule("what the balance pays", lambda i, _: number(i, "amount")),
    "taxes": Rule("the sum of the taxes", _sum),
    "taxes_rounded": Rule(
        "the sum of the taxes, rounded once", lambda i, parts: _rounded(i, _sum(i, parts))
    ),
    "tax": Rule("the tax, rounded once", lambda i, parts: _rounded(i, parts[0])),
    "tax_within": Rule(
        "the tax, rounded once, and at most what is left of the lines that hold it",
        lambda i, parts: min(_rounded(i, parts[0]), number(i, "left")),
    ),
    "tax_percentage": Rule(
        "base × percent ÷ 100", lambda i, _: number(i, "base") * number(i, "percent") / 100
    ),
    "tax_room": Rule(
        "the tax, and at most what its lines leave for the taxes they include",
        lambda i, parts: min(parts[0], number(i, "left")),
    ),
    "tax_fixed": Rule("the fixed amount", lambda i, _: number(i, "amount")),
    "line_total": Rule(
        "the line − its discounts − its prepaid credits + its taxes on top",
        lambda _, parts: parts[0] - parts[1] - parts[2] + parts[3],
    ),
    "share": Rule(
        "whole × weight ÷ weights, brought to the minor unit by `rounding` so that all shares "
        "sum to the whole",
        lambda i, _: _share(i),
    ),
}


def due(reckoned: Reckoned) -> Step:
    """The amount due, down to the lines, the discounts, the balances and the rates."""
    sheet, totals = reckoned.sheet, reckoned.totals
    total = step(
        "total",
        {},
        totals.total,
        (
            step("subtotal", {}, totals.subtotal, tuple(_line_amounts(reckoned))),
            step("discounts", {}, totals.discount, tuple(_discounts(reckoned))),
            step("prepaid", {}, totals.prepaid, tuple(_drawn(sheet, reckoned.prepaid))),
            _taxes(reckoned, included=False),
            _taxes(reckoned, included=True),
        ),
    )
    credits_ = step("credits", {}, totals.credited, tuple(_drawn(sheet, reckoned.credits)))
    return step("amount_due", {}, totals.amount_due, (total, credits_))


def shares(reckoned: Reckoned, index: int) -> tuple[Step, Step, Step]:
    """A line's shares: of the discounts, of the prepaid credits and of the taxes on top."""
    sheet, amounts = reckoned.sheet, reckoned.lines[index]
    on_top = [each for each in reckoned.taxes if not each.rate.included]
    taken = tuple(_share_of_discount(sheet, each, index) for each in reckoned.discounts)
    paid = tuple(_share_of_drawn(sheet, each, index) for each in reckoned.prepaid)
    taxed = tuple(_share_of_tax(sheet, each, index) for each in on_top)
    return (
        step("discounts", {}, amounts.discount, taken),
        step("prepaid", {}, amounts.prepaid, paid),
        step("taxes", {}, amounts.tax - amounts.tax_included, taxed),
    )


def line(own: Step, parts: Sequence[Step]) -> Step:
    """What is asked for a line: `own` is the tree of its amount, `parts` are its shares."""
    discount, prepaid, tax = (Fraction(part.result) for part in parts)
    result = Fraction(own.result) - discount - prepaid + tax
    return step("line_total", {}, result, (own, *parts))


def _line_amounts(reckoned: Reckoned) -> Iterator[Step]:
    for each in reckoned.lines:
        inputs: dict[str, Decimal | str | None] = {"line": each.id, "amount": each.amount}
        yield step("line_amount", inputs, each.amount)


def _discounts(reckoned: Reckoned) -> Iterator[Step]:
    sheet = reckoned.sheet
    before, whole = Fraction(0), 0
    for taken in reckoned.discounts:
        exact = sum(taken.exact, Fraction(0))
        found = _off(sheet, taken, exact)
        if exact != taken.amount:
            inputs: dict[str, Decimal | str | None] = {
                "decimals": str(sheet.decimals),
                "before": text(_major(sheet, before)),
                "rounded_before": sheet.major(whole),
            }
            found = step("rounded_on", inputs, sheet.major(taken.amount), (found,))
        before, whole = before + exact, whole + taken.amount
        yield found


def _off(sheet: Sheet, taken: DiscountTaken, exact: Fraction) -> Step:
    """What was taken off before it was rounded with the others."""
    discount = taken.discount
    groups = (
        [left for left in taken.left if left] if discount.each else [sum(taken.left, Fraction(0))]
    )
    parts = tuple(_off_group(sheet, taken, base) for base in groups)
    found = parts[0]
    if discount.each:
        together = sum((Fraction(part.result) for part in parts), Fraction(0))
        found = step("off_each_line", {"discount": discount.id}, together, parts)
    if Fraction(found.result) != _major(sheet, exact):
        left = text(_major(sheet, exact))
        found = step("room", {"left": left}, _major(sheet, exact), (found,))
    return found


def _off_group(sheet: Sheet, taken: DiscountTaken, base: Fraction) -> Step:
    discount, shown = taken.discount, _major(sheet, base)
    inputs: dict[str, Decimal | str | None] = {"discount": discount.id, "base": text(shown)}
    if discount.percent is None:
        amount = discount.amount or Decimal(0)
        return step("amount_off", inputs | {"amount": amount}, min(Fraction(amount), shown))
    percent = Fraction(discount.percent)
    rounded = Fraction(fraction_rounded(shown * percent / 100, sheet.decimals))
    inputs |= {"percent": discount.percent, "decimals": str(sheet.decimals)}
    return step("percentage_off", inputs, min(rounded, shown))


def _drawn(sheet: Sheet, drawn: Iterable[Drawn]) -> Iterator[Step]:
    for each in drawn:
        amount = sheet.major(each.amount)
        yield step("drawn", {"balance": each.balance.id, "amount": amount}, amount)


def _taxes(reckoned: Reckoned, *, included: bool) -> Step:
    sheet = reckoned.sheet
    chosen = [each for each in reckoned.taxes if each.rate.included is included]
    together = sum((each.amount for each in chosen), 0)
    exact = tuple(_tax(sheet, each) for each in chosen)
    decimals = {"decimals": str(sheet.decimals)}
    if sheet.rules.tax_rounding is TaxRounding.PER_INVOICE:
        return step("taxes_rounded", decimals, sheet.major(together), exact)
    rounded = tuple(
        _tax_rounded(sheet, each, part) for each, part in zip(chosen, exact, strict=True)
    )
    return step("taxes", {}, sheet.major(together), rounded)


def _tax(sheet: Sheet, taken: TaxTaken) -> Step:
    rate, exact = taken.rate, _major(sheet, sum(taken.exact, Fraction(0)))
    if rate.percent is None:
        return step("tax_fixed", {"rate": rate.id, "amount": text(exact)}, exact)
    base = _major(sheet, sum(taken.bases, Fraction(0)))
    percent = rate.percent if rate.charged else Decimal(0)
    asked = base * Fraction(percent) / 100
    inputs: Inputs = {"rate": rate.id, "base": text(base), "percent": plain(percent)}
    found = step("tax_percentage", inputs, asked)
    return found if asked == exact else step("tax_room", {"left": exact}, exact, (found,))


def _tax_rounded(sheet: Sheet, taken: TaxTaken, exact: Step) -> Step:
    amount = sheet.major(taken.amount)
    decimals = {"decimals": str(sheet.decimals)}
    if amount == fraction_rounded(Fraction(exact.result), sheet.decimals):
        return step("tax", decimals, amount, (exact,))
    return step("tax_within", {**decimals, "left": amount}, amount, (exact,))


def _share_of_discount(sheet: Sheet, taken: DiscountTaken, index: int) -> Step:
    # Off each line on its own, a share is what was taken there; else it goes by what was left.
    weights = taken.exact if taken.discount.each else taken.left
    of = {"discount": taken.discount.id}
    return _share_step(sheet, of, (taken.amount, weights, index), taken.shares[index])


def _share_of_drawn(sheet: Sheet, drawn: Drawn, index: int) -> Step:
    of = {"balance": drawn.balance.id}
    return _share_step(sheet, of, (drawn.amount, drawn.open, index), drawn.shares[index])


def _share_of_tax(sheet: Sheet, taken: TaxTaken, index: int) -> Step:
    of = {"rate": taken.rate.id}
    return _share_step(sheet, of, (taken.amount, taken.exact, index), taken.shares[index])


def _share_step(
    sheet: Sheet, of: dict[str, str], shared: tuple[int, Exact, int], printed: int
) -> Step:
    """The share at a place of a whole that goes by weights."""
    whole, weights, index = shared
    weight, together = weights[index], sum(weights, Fraction(0)) or Fraction(1)
    rounding = printed - whole * weight / together
    inputs: dict[str, Decimal | str | None] = {
        **of,
        "whole": sheet.major(whole),
        "weight": text(_major(sheet, weight)),
        "weights": text(_major(sheet, together)),
        "rounding": text(_major(sheet, rounding)),
    }
    return step("share", inputs, sheet.major(printed))


def _major(sheet: Sheet, minor: Fraction) -> Fraction:
    return minor / Fraction(10) ** sheet.decimals
