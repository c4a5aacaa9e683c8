"""Elements of UBL. Pure."""

import re
from decimal import Decimal
from xml.etree.ElementTree import Element, indent, tostring

from app.kernel.currencies import minor_units
from app.kernel.quantity import EXACT, plain

_URN = "urn:oasis:names:specification:ubl:schema:xsd"
# What XML 1.0 has no place for, not even escaped: control characters and halves of pairs.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(name: str, *children: Element | str | None) -> bytes:
    """The bytes of a document; the same for the same elements."""
    root = aggregate(name, *children)
    root.tag = name
    root.attrib.update(
        {
            "xmlns": f"{_URN}:{name}-2",
            "xmlns:cac": f"{_URN}:CommonAggregateComponents-2",
            "xmlns:cbc": f"{_URN}:CommonBasicComponents-2",
        }
    )
    indent(root)
    body: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return body + b"\n"


def aggregate(name: str, *children: Element | str | None) -> Element:
    """An element of those that are there, in the order given, which is that of the schema."""
    element = Element(f"cac:{name}")
    element.extend([child for child in children if isinstance(child, Element)])
    return element


def basic(name: str, value: object | None, **attributes: str) -> Element | None:
    """An element with a text; None where nothing is left to say."""
    text = clean("" if value is None else str(value))
    if not text:
        return None
    element = Element(f"cbc:{name}", attributes)
    element.text = text
    return element


def clean(text: str) -> str:
    """Without what XML cannot say, and without blanks around it."""
    return _FORBIDDEN.sub("", text).strip()


def money(name: str, amount: Decimal, currency: str) -> Element | None:
    """With exactly the decimals of the currency; one that has more is a bug."""
    unit = EXACT.scaleb(Decimal(1), -minor_units(currency))
    # Adding nothing takes the sign off a zero.
    text = format(EXACT.add(EXACT.quantize(amount, unit), Decimal(0)), "f")
    return basic(name, text, currencyID=currency)


def number(name: str, value: Decimal, **attributes: str) -> Element | None:
    return basic(name, plain(value), **attributes)
