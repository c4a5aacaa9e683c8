"""What a new meter may be: each function returns the value to store, or raises Invalid.

Paths name the input as a caller of the API spells it: `filters.include[0].values[2]`.
"""

from collections.abc import Sequence

from app.kernel import checks
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.metering.aggregations import KINDS, Aggregation, Count
from app.metering.filters import Filters, Match

MAX_DIMENSIONS = 10
MAX_MATCHES = 20  # of include, of exclude, and of one entry of exclude
MAX_VALUES = 100
MAX_LENGTH = 255
MAX_FILTER_BYTES = 8_000  # of all properties and values of a meter's filters


def property_name(value: str, path: str) -> str:
    """A property at the top level of an event; a dot is part of the name.

    Kept as it is: an event's property `" a"` is another than `"a"`.
    """
    if checks.text(value, path, longest=MAX_LENGTH) != value:
        raise checks.invalid(path, f"{value!r} must not start or end with a blank")
    return value


def aggregation_named(kind: str, property_: str | None) -> Aggregation:
    """The aggregation of a kind, from the parts an input has.

    Raises: Invalid (a property is missing, or given where none is used).
    """
    path = "aggregation.property"
    if kind == "count":
        if property_ is not None:
            raise checks.invalid(path, "COUNT counts events and looks at no property; leave it out")
        return Count()
    if property_ is None:
        raise Invalid(f"{path}: {kind.upper()} needs one", field=path, code="REQUIRED")
    return KINDS[kind](property_)


def aggregation(value: Aggregation) -> Aggregation:
    if isinstance(value, Count):
        return value
    return replace(value, property=property_name(value.property, "aggregation.property"))


def filters(value: Filters) -> Filters:
    if len(value.exclude) > MAX_MATCHES:
        raise _too_many("filters.exclude", len(value.exclude), MAX_MATCHES)
    checked = Filters(
        include=_matches(value.include, "filters.include"),
        exclude=tuple(
            _matches(entry, f"filters.exclude[{index}]", at_least=1)
            for index, entry in enumerate(value.exclude)
        ),
        present=_names(value.present, "filters.present", most=MAX_MATCHES),
        absent=_names(value.absent, "filters.absent", most=MAX_MATCHES),
    )
    if (length := _bytes(checked)) > MAX_FILTER_BYTES:
        raise checks.invalid(
            "filters", f"{length} bytes of text are too many; at most {MAX_FILTER_BYTES} fit"
        )
    return checked


def dimensions(value: Sequence[str]) -> tuple[str, ...]:
    return _names(value, "dimensions", most=MAX_DIMENSIONS)


def _matches(value: Sequence[Match], path: str, *, at_least: int = 0) -> tuple[Match, ...]:
    if len(value) > MAX_MATCHES:
        raise _too_many(path, len(value), MAX_MATCHES)
    if len(value) < at_least:
        # An entry without conditions would exclude every event.
        raise checks.invalid(path, "needs at least one property")
    names = _names([match.property for match in value], path, most=MAX_MATCHES, part=".property")
    return tuple(
        Match(name, _values(match.values, f"{path}[{index}].values"))
        for index, (name, match) in enumerate(zip(names, value, strict=True))
    )


def _bytes(value: Filters) -> int:
    matches = [*value.include, *(match for entry in value.exclude for match in entry)]
    texts = [*value.present, *value.absent, *(match.property for match in matches)]
    texts += [text for match in matches for text in match.values]
    return sum(len(text.encode()) for text in texts)


def _values(value: Sequence[str], path: str) -> tuple[str, ...]:
    if not value:
        raise checks.invalid(path, "needs at least one value")
    if len(value) > MAX_VALUES:
        raise _too_many(path, len(value), MAX_VALUES)
    for index, item in enumerate(value):
        if len(item) > MAX_LENGTH or not checks.storable(item):
            raise checks.invalid(
                f"{path}[{index}]",
                f"at most {MAX_LENGTH} characters, without NUL and lone surrogates",
            )
    return tuple(dict.fromkeys(value))


def _names(value: Sequence[str], path: str, *, most: int, part: str = "") -> tuple[str, ...]:
    if len(value) > most:
        raise _too_many(path, len(value), most)
    names = [property_name(item, f"{path}[{index}]{part}") for index, item in enumerate(value)]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise checks.invalid(f"{path}[{index}]{part}", f"{name!r} is named twice")
    return tuple(names)


def _too_many(path: str, count: int, most: int) -> Exception:
    return checks.invalid(path, f"{count} are too many; at most {most} fit")
