"""How a locale writes money, numbers and days: babel, exactly and with all decimals. Pure."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_symbol

from app.kernel.currencies import minor_units
from app.kernel.period import Period
from app.kernel.quantity import EXACT
from app.tenants.locales import babel_locale

_DIGITS = re.compile(r"[#0,.]+")
_APART = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Formats:
    """`tag` is a BCP 47 tag that `locales.check` has let pass. Days are those of `zone`."""

    tag: str
    zone: ZoneInfo

    @property
    def locale(self) -> Locale:
        return babel_locale(self.tag)

    def money(self, amount: Decimal, currency: str) -> str:
        """A rounded amount, with all decimals of the currency's minor unit."""
        return self._currency(amount, currency, quantized=True)

    def unit_money(self, amount: Decimal, currency: str) -> str:
        """A price per unit: all of its decimals, however small it is."""
        return self._currency(amount, currency, quantized=False)

    def coded(self, amount: Decimal, currency: str) -> str:
        """`money` with the currency's code, where the symbol does not say it."""
        shown = self.money(amount, currency)
        return shown if currency in shown else f"{shown}{_APART}{currency}"

    def number(self, value: Decimal) -> str:
        """A quantity: all of its decimals, thousands separated."""
        with localcontext(EXACT):
            shown = value.normalize()
            return str(format_decimal(shown, locale=self.locale, decimal_quantization=False))

    def percent(self, value: Decimal) -> str:
        return f"{self.number(value)}{_APART}%"

    def day(self, at: datetime | None) -> str:
        """The local day of an instant; "" for none."""
        return "" if at is None else self._date(at.astimezone(self.zone).date())

    def days(self, period: Period) -> str:
        """The local days that a period covers: its last one is the day before its end."""
        first = period.start.astimezone(self.zone).date()
        last = (period.end - timedelta(microseconds=1)).astimezone(self.zone).date()
        if last <= first:
            return self._date(first)
        return f"{self._date(first)} – {self._date(last)}"

    def _date(self, day: date) -> str:
        # Long, because what is a month in one country is a day in another.
        return str(format_date(day, format="long", locale=self.locale))

    def _currency(self, amount: Decimal, currency: str, *, quantized: bool) -> str:
        # Python's own context would refuse long amounts, or round them.
        with localcontext(EXACT):
            return str(
                format_currency(
                    amount,
                    currency,
                    _pattern(self.locale, currency),
                    self.locale,
                    currency_digits=False,
                    decimal_quantization=quantized,
                )
            )


def _pattern(locale: Locale, currency: str) -> str:
    """The locale's own, with the decimals that the currency has: left to itself babel prints
    several currencies (IQD, LBP …) without theirs."""
    decimals = minor_units(currency)
    pattern = str(locale.currency_formats["standard"].pattern)
    fraction = "." + "0" * decimals if decimals else ""
    pattern = _DIGITS.sub(lambda found: found[0].split(".")[0] + fraction, pattern)
    if get_currency_symbol(currency, locale)[-1:].isalpha():
        pattern = re.sub(r"¤(?=[#0])", f"¤{_APART}", pattern)
    return pattern
