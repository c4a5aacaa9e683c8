"""Invoice numbers: prefix, formatted date, and a counter that has no gaps. Pure.

A counter belongs to an environment and to one formatted date, so that it starts again when
the date's text changes. The row of the counter is raised in the transaction that finalizes:
what rolls back takes its numbers along.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from app.tenants.settings import InvoiceSettings

_FORMATS = {"none": "", "YYYY": "%Y", "YYYYMM": "%Y%m", "YYYYMMDD": "%Y%m%d"}


def counter(settings: InvoiceSettings, at: datetime) -> str:
    """The name of the counter that numbers an invoice issued `at`, such as INV-202501."""
    local = at.astimezone(ZoneInfo(settings.number_timezone))
    date = local.strftime(_FORMATS[settings.number_date])
    parts = (settings.number_prefix, date)
    return settings.number_separator.join(part for part in parts if part)


def number(settings: InvoiceSettings, at: datetime, count: int) -> str:
    """The number of the `count`th invoice of its counter, such as INV-202501-00001.

    `number_digits` is the least width of the count; beyond it the number grows.
    """
    shown = f"{count:0{settings.number_digits}d}"
    return settings.number_separator.join((counter(settings, at), shown))
