"""What an entitlement gives, by the type of its feature. Pure.

As JSON, terms are tagged by `type`, and decimals are strings:
`{"type": "metered", "limit": "1000", "resets": "month", "window": null, "soft": false}`.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from app.catalog.feature import FeatureType
from app.catalog.prices import numbers
from app.kernel import checks
from app.kernel.errors import Invalid
from app.kernel.period import Duration
from app.kernel.quantity import plain

LONGEST_VALUE = 1_000  # characters
LARGEST_CONFIG = 16_384  # bytes of JSON
DEEPEST_CONFIG = 32
LONGEST_WINDOW = 5 * 366  # days


class Resets(StrEnum):
    """When what was used is forgotten. Where a window begins is told in `allowance_windows`."""

    NEVER = "never"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"
    BILLING_PERIOD = "billing_period"
    SLIDING = "sliding"
    """Not at once: what is older than `window` is forgotten."""


class Metered(Struct, frozen=True, tag_field="type", tag="metered"):
    """Up to `limit` units of the feature's meter; None is without limit, 0 is nothing.

    `window` is an ISO 8601 duration, for sliding windows alone. `soft`: more than the limit may
    be used, and is told.
    """

    limit: Decimal | None
    resets: Resets = Resets.MONTH
    window: str | None = None
    soft: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None:
            numbers.amount(self.limit, "limit")
        if self.resets is Resets.SLIDING:
            if self.limit is None:
                raise Invalid(
                    "resets: what is without limit has no sliding window; leave it out",
                    field="resets",
                    code="UNLIMITED_SLIDING",
                )
            _check_window(self.window)
        elif self.window is not None:
            raise Invalid(
                "window: only a limit that resets sliding has a window of its own; leave it out",
                field="window",
                code="WINDOW_NOT_ALLOWED",
            )


class Boolean(Struct, frozen=True, tag_field="type", tag="boolean"):
    """On."""


class Static(Struct, frozen=True, tag_field="type", tag="static"):
    """A text, such as a support level."""

    value: str

    def __post_init__(self) -> None:
        if checks.text(self.value, "value", longest=LONGEST_VALUE) != self.value:
            raise checks.invalid("value", "must not begin or end with blanks")


class Config(Struct, frozen=True, tag_field="type", tag="config"):
    """A JSON value."""

    value: Any

    def __post_init__(self) -> None:
        checks.json_value(self.value, "value", bytes_=LARGEST_CONFIG, deep=DEEPEST_CONFIG)


Terms = Metered | Boolean | Static | Config
TYPES: dict[type[Terms], FeatureType] = {
    Metered: FeatureType.METERED,
    Boolean: FeatureType.BOOLEAN,
    Static: FeatureType.STATIC,
    Config: FeatureType.CONFIG,
}

_DAY = 86_400  # seconds
_decoder: msgspec.json.Decoder[Terms] = msgspec.json.Decoder(Terms)


def type_of(terms: Terms) -> FeatureType:
    """The type of the features that can have such terms."""
    return TYPES[type(terms)]


def to_json(terms: Terms) -> dict[str, Any]:
    """As stored: equal terms give equal JSON, however their decimals were written."""
    stored: dict[str, Any] = msgspec.to_builtins(terms)
    if isinstance(terms, Metered):
        stored["limit"] = None if terms.limit is None else plain(terms.limit)
    return stored


def from_json(text: str | bytes) -> Terms:
    """What `to_json` wrote. Raises: Invalid, msgspec.ValidationError."""
    return _decoder.decode(text)


def _check_window(window: str | None) -> None:
    if window is None:
        raise Invalid(
            "window: a sliding window needs its length, such as P30D",
            field="window",
            code="WINDOW_REQUIRED",
        )
    try:
        length = Duration.parse(window)
    except ValueError as error:
        raise checks.invalid("window", str(error)) from error
    seconds = (length.months * 30 + length.days) * _DAY + length.seconds
    if not 0 < seconds <= LONGEST_WINDOW * _DAY:
        raise checks.invalid("window", f"{window} must be longer than nothing and at most 5 years")
