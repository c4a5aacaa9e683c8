"""Numbers of invoices and credit notes: prefix, formatted date, and a counter that has no gaps.

A counter belongs to an environment, a series (which a customer with a prefix of its own has
apart) and one formatted date, so that it starts again when the date's text changes, and goes on
where it was when an older format comes back. The row of the counter is raised in the transaction
that finalizes: what rolls back takes its numbers along.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from app.tenants.settings import InvoiceSettings, NumberDate

_FORMATS: dict[NumberDate, str] = {
    "none": "",
    "YY": "%y",
    "YYYY": "%Y",
    "YYMM": "%y%m",
    "YYYYMM": "%Y%m",
    "YYMMDD": "%y%m%d",
    "YYYYMMDD": "%Y%m%d",
}


def head(settings: InvoiceSettings, prefix: str, at: datetime) -> str:
    """What the numbers of a series begin with that are given `at`, such as INV-202501."""
    local = at.astimezone(ZoneInfo(settings.number_timezone))
    date = local.strftime(_FORMATS[settings.number_date])
    return settings.number_separator.join(part for part in (prefix, date) if part)


def number(settings: InvoiceSettings, head: str, count: int) -> str:
    """The `count`th number of its counter, such as INV-202501-00001.

    `number_digits` is the least width of the count; beyond it the number grows.
    """
    shown = f"{count:0{settings.number_digits}d}"
    return settings.number_separator.join((head, shown))
