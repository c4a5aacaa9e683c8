"""The lines of a document as text, and how each came about. Pure."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct

from app.invoicing import explanation
from app.invoicing.breakdown import Note, Row, converted, notes, rows
from app.invoicing.invoice import InvoiceLine
from app.invoicing.pdf.formats import Formats
from app.kernel.period import Period
from app.tenants.settings import Layout

_PIECE = 18
_UNBROKEN = re.compile(r"\S{24,}")


class Detail(Struct, frozen=True):
    """One row below a line: how a part of its amount came about."""

    label: str
    quantity: str
    unit_price: str
    amount: str


class Line(Struct, frozen=True):
    """`carried` is the sum of the lines down to this one."""

    description: str
    note: str  # the service period, and what a grouped line stands for
    quantity: str
    unit_price: str
    amount: str
    carried: str
    details: list[Detail]


def soft(text: str) -> str:
    """The text with places to break words that no column would hold."""
    return _UNBROKEN.sub(lambda found: "\N{ZERO WIDTH SPACE}".join(_pieces(found[0])), text)


def _pieces(word: str) -> list[str]:
    return [word[at : at + _PIECE] for at in range(0, len(word), _PIECE)]


def line_of(
    line: InvoiceLine,
    formats: Formats,
    *,
    carried: Decimal,
    layout: Layout,
    told: Period | None = None,
) -> Line:
    """`compact`: without details. `detailed`: with what was counted and what was done to it,
    besides the priced parts.

    `told` is a period that need not be said again.
    """
    found = rows(line.explanation)
    single = found[0] if len(found) == 1 and not found[0].flat_amount else None
    told_by_row = not single and layout != "compact"
    details = [_row(row, line.currency, formats) for row in found] if told_by_row else []
    if layout == "detailed":
        known = notes(line.explanation)
        before = [_note(note, line, formats) for note in known if note.of_quantity]
        after = [_note(note, line, formats) for note in known if not note.of_quantity]
        details = before + details + after
    return Line(
        description=soft(line.description),
        note=soft(" · ".join(_about(line, found, formats, told))),
        quantity=soft(formats.number(line.quantity)),
        unit_price=_unit_price(single, line.currency, formats) if single else "",
        amount=soft(formats.money(line.amount, line.currency)),
        carried=formats.money(carried, line.currency),
        details=details,
    )


def _about(line: InvoiceLine, found: list[Row], formats: Formats, told: Period | None) -> list[str]:
    group = ", ".join(f"{name} {_shown(value)}" for name, value in line.group.items())
    served = formats.days(line.service) if line.service.length and line.service != told else ""
    share = next((row.share for row in found if row.share is not None), None)
    part = "" if share is None else f"{formats.percent(share)} of a full period"
    return [text for text in (group, served, part, _units(line, formats)) if text]


def _units(line: InvoiceLine, formats: Formats) -> str:
    """What the line comes to in the unit of its price; nothing where the price has none."""
    found = converted(line.explanation)
    if found is None:
        return ""
    worth = formats.unit_money(found.rate, line.currency)
    return f"{formats.number(found.amount)} {found.unit} at {worth}"


def _shown(value: str | None) -> str:
    if value is None:
        return "(none)"
    return value or "(empty)"


def _row(row: Row, currency: str, formats: Formats) -> Detail:
    return Detail(
        label=_label(row, currency, formats),
        quantity=soft(formats.number(row.quantity)),
        unit_price=_unit_price(row, currency, formats),
        amount=soft(formats.unit_money(row.amount, currency)),
    )


def _label(row: Row, currency: str, formats: Formats) -> str:
    shown = _range(row, formats)
    if not row.flat_amount:
        return shown
    return f"{shown} (with {formats.unit_money(row.flat_amount, currency)} flat)"


def _range(row: Row, formats: Formats) -> str:
    if row.above is None or (row.above == 0 and row.up_to is None):
        return "all"
    if row.up_to is None:
        return f"above {formats.number(row.above)}"
    if row.above == 0:
        return f"up to {formats.number(row.up_to)}"
    return f"above {formats.number(row.above)}, up to {formats.number(row.up_to)}"


def _unit_price(row: Row, currency: str, formats: Formats) -> str:
    shown = soft(formats.unit_money(row.unit_amount, currency))
    return f"{shown} per {formats.number(row.per)}" if row.per != 1 else shown


def _note(note: Note, line: InvoiceLine, formats: Formats) -> Detail:
    rule = explanation.RULES.get(note.rule)
    word = _WORDS.get(note.rule)
    label = word(note.inputs, formats) if word else (rule.formula if rule else note.rule)
    if note.of_quantity:
        return Detail(label, formats.number(note.result), "", "")
    return Detail(label, "", "", formats.unit_money(note.result, line.currency))


def _number(inputs: Mapping[str, str | None], name: str, formats: Formats) -> str:
    value = inputs.get(name)
    return "" if value is None else formats.number(Decimal(value))


def _counted(inputs: Mapping[str, str | None], formats: Formats) -> str:
    said = f"counted from {_number(inputs, 'events', formats)} events"
    return f"{inputs['variable']} {said}" if inputs.get("variable") else said


# Steps in words; those that are not here are told by their rule's own formula.
_WORDS: dict[str, Callable[[Mapping[str, str | None], Formats], str]] = {
    "counted": _counted,
    "stated": lambda i, f: "as agreed",
    "held": lambda i, f: "held",
    "free_units": lambda i, f: f"less {_number(i, 'free_units', f)} free units",
    "minimum": lambda i, f: "at least the minimum of the charge",
    "maximum": lambda i, f: "at most the maximum of the charge",
    "conversion": lambda i, f: f"converted from {i['unit']}",
    "proration": lambda i, f: "for the part of the period that was served",
}
