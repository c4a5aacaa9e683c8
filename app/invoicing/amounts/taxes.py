"""Taxes: percentages and fixed amounts, on top of the lines or included in them. Pure.

The base is what discounts have left; prepaid credits are a way of paying and do not lower it. A
compound rate is also taken on the taxes of a lower priority number. Everything is exact until
the one rounding, of each rate or of the whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.invoicing.amounts.rules import TaxRounding
from app.invoicing.amounts.sheet import Exact, Sheet, Whole, half_away, plus
from app.kernel import shares
from app.kernel.copies import replace

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Exactly one of `percent` (19 is 19 %) and `amount` (major units, once per invoice) is given.

    `included`: the lines' amounts hold it already. `priority`: lower numbers first. `lines` are
    the ids of those that bear it; None: all. A fixed amount in another currency than the
    invoice's is passed over. `charged` False: its base is shown, and no tax is asked for.
    """

    id: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    included: bool = False
    compound: bool = False
    priority: int = 0
    lines: frozenset[str] | None = None
    charged: bool = True

    def __post_init__(self) -> None:
        value = self.amount if self.percent is None else self.percent
        if (self.percent is None) == (self.amount is None) or value is None or value < 0:
            raise ValueError(f"tax rate {self.id} needs a percentage or an amount, not negative")


@dataclass(frozen=True, slots=True)
class TaxTaken:
    """What a rate came to, in minor units, per line in the sheet's order.

    `bases` are exact and net of included taxes; `exact` is the tax on each, `shares` the same
    as printed, which sum to `amount`. `taxable` is the sum of the bases, rounded.
    """

    rate: Rate
    amount: int
    taxable: int
    bases: Exact
    exact: Exact
    shares: Whole


def levy(sheet: Sheet, rates: Sequence[Rate]) -> tuple[Sheet, list[TaxTaken]]:
    """The sheet after its taxes, and what each rate came to, in the order of priority."""
    ordered = [
        rate
        for rate in sorted(rates, key=lambda rate: rate.priority)
        if rate.amount is None or rate.currency in (None, sheet.currency)
    ]
    if not ordered or not sheet.lines:
        return sheet, []
    columns = _worked_out(sheet, ordered)
    taken = [
        TaxTaken(rate, amount, half_away(sum(bases, _ZERO)), bases, exact, printed)
        for (rate, bases, exact), (amount, printed) in zip(
            columns, _printed(sheet, columns), strict=True
        )
    ]
    tax, added = sheet.tax, sheet.added
    for each in taken:
        tax = plus(tax, each.shares)
        if not each.rate.included:
            added = plus(added, each.shares)
    due = sheet.due + sum(added) - sum(sheet.added)
    return replace(sheet, tax=tax, added=added, due=due), taken


@dataclass(frozen=True, slots=True)
class _Linear:
    """`slope` × the line's net amount + `constant`."""

    slope: Fraction = _ZERO
    constant: Fraction = _ZERO

    def __add__(self, other: "_Linear") -> "_Linear":
        return _Linear(self.slope + other.slope, self.constant + other.constant)

    def times(self, factor: Fraction) -> "_Linear":
        return _Linear(self.slope * factor, self.constant * factor)

    def at(self, net: Fraction) -> Fraction:
        return self.slope * net + self.constant


_NET, _NONE = _Linear(Fraction(1)), _Linear()
_Term = tuple[_Linear, _Linear]
_Column = tuple[Rate, Exact, Exact]


def _worked_out(sheet: Sheet, rates: Sequence[Rate]) -> list[_Column]:
    """Of each rate its base and its tax on every line, exact."""
    fixed = _fixed(sheet, rates)
    rows = [_row(sheet, index, rates, fixed) for index in range(len(sheet.lines))]
    return [
        (rate, tuple(row[place][0] for row in rows), tuple(row[place][1] for row in rows))
        for place, rate in enumerate(rates)
    ]


def _fixed(sheet: Sheet, rates: Sequence[Rate]) -> dict[str, Exact]:
    """Fixed amounts over the lines that bear them, in proportion; none where there is no base.

    What is included cannot be more than there is.
    """
    found: dict[str, Exact] = {}
    left = sheet.left
    for rate in rates:
        if rate.amount is None or not rate.charged:
            continue
        room = left if rate.included else sheet.left
        covered = set(sheet.indices(rate.lines))
        bases = [max(each, _ZERO) if i in covered else _ZERO for i, each in enumerate(room)]
        together = sum(bases, _ZERO)
        whole = sheet.minor(rate.amount)
        if rate.included:
            whole = min(whole, together)
        found[rate.id] = tuple(whole * base / together if together else _ZERO for base in bases)
        if rate.included:
            left = tuple(each - part for each, part in zip(left, found[rate.id], strict=True))
    return found


def _row(
    sheet: Sheet, index: int, rates: Sequence[Rate], fixed: dict[str, Exact]
) -> list[tuple[Fraction, Fraction]]:
    """(base, tax) of every rate on one line."""
    left, net = sheet.left[index], _ZERO
    terms = _terms(sheet, index, rates, fixed)
    inside = sum((tax for rate, (_, tax) in zip(rates, terms, strict=True) if rate.included), _NONE)
    if inside.constant > max(left, _ZERO):
        # Less than the taxes it is to include, as where one is compound on a fixed amount of all
        # there is: nothing is net, and the first ones have it all.
        terms = _terms(sheet, index, rates, fixed, room=left)
    else:
        net = (left - inside.constant) / (1 + inside.slope)
    return [(base.at(net), tax.at(net)) for base, tax in terms]


def _terms(
    sheet: Sheet,
    index: int,
    rates: Sequence[Rate],
    fixed: dict[str, Exact],
    *,
    room: Fraction | None = None,
) -> list[_Term]:
    """Base and tax of every rate on one line. `room`: nothing is net, and that much can be
    included; None: as much as comes out."""
    line_id, terms = sheet.lines[index].id, list[_Term]()
    for rate in rates:
        base, tax = _base(rate, rates, terms), _NONE
        if room is not None:
            base = _Linear(constant=base.constant)
        bears = rate.lines is None or line_id in rate.lines
        if bears and rate.charged:
            if rate.percent is not None:
                tax = base.times(Fraction(rate.percent) / 100)
            else:
                tax = _Linear(constant=fixed[rate.id][index])
        if room is not None and rate.included:
            tax = _Linear(constant=min(tax.constant, room))
            room -= tax.constant
        terms.append((base if bears else _NONE, tax))
    return terms


def _base(rate: Rate, rates: Sequence[Rate], before: Sequence[_Term]) -> _Linear:
    """What the rate is taken on: the net amount, and for a compound rate the taxes before it.

    An included tax is taken on included ones alone, so that what is on top cannot change it.
    """
    base = _NET
    if rate.compound:
        for earlier, (_, tax) in zip(rates, before, strict=False):
            if earlier.priority < rate.priority and (earlier.included or not rate.included):
                base = base + tax
    return base


def _printed(sheet: Sheet, columns: Sequence[_Column]) -> list[tuple[int, Whole]]:
    """Of each rate its amount and its shares, whole."""
    exact = [sum(taxes, _ZERO) for _, _, taxes in columns]
    amounts = [half_away(each) for each in exact]
    if sheet.rules.tax_rounding is TaxRounding.PER_INVOICE:
        for included in (True, False):
            places = [i for i, (rate, _, _) in enumerate(columns) if rate.included is included]
            whole = half_away(sum((exact[i] for i in places), _ZERO))
            parts = shares.rounded([exact[i] for i in places], whole) if places else []
            for place, part in zip(places, parts, strict=True):
                amounts[place] = part
    return list(_shared(sheet, columns, amounts))


def _shared(
    sheet: Sheet, columns: Sequence[_Column], amounts: Sequence[int]
) -> Iterator[tuple[int, Whole]]:
    """The amounts over the lines. Included taxes stay within what is left of their line."""
    room = [gross - off for gross, off in zip(sheet.gross, sheet.discount, strict=True)]
    for amount, (rate, _, taxes) in zip(amounts, columns, strict=True):
        if not rate.included:
            yield amount, tuple(shares.rounded(taxes, amount))
            continue
        limits = [max(each, 0) for each in room]
        held = min(amount, sum(limits))
        parts = tuple(shares.rounded(taxes, held, limits))
        room = [left - part for left, part in zip(room, parts, strict=True)]
        yield held, parts
