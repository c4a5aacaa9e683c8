from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from app.kernel.checks import storable
from app.kernel.listing import Order
from app.kernel.quantity import parse_decimal, plain

Kind = Literal[
    "string",
    "id",
    "enum",
    "datetime",
    "date",
    "decimal",
    "integer",
    "boolean",
    "string_list",
    "json",
]
_BIGINT = 2**63


@dataclass(frozen=True, slots=True)
class Column:
    """A column a caller may filter by, and order by where `sortable`.

    `field` is its name in requests, rows and, unless `sql` gives an expression, the table.
    An expression is written by us and must yield the type that `kind` says.
    """

    field: str
    kind: Kind
    sql: str | None = None
    sortable: bool = False
    nullable: bool = False

    @property
    def expression(self) -> str:
        return self.sql or self.field


@dataclass(frozen=True, slots=True)
class Listing:
    """What may be listed of a table. Its rows need a column `id`, unique and never null.

    `select` is what each row holds; `searchable` names the columns that a search looks through.
    `environment` False: the rows belong to the tenant as a whole.
    """

    table: str
    columns: tuple[Column, ...]
    default_order: tuple[Order, ...]
    searchable: tuple[str, ...] = ()
    select: str = "*"
    environment: bool = True
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = {column.field: column for column in self.columns}
        unknown = [o.field for o in self.default_order if o.field not in names]
        unknown += [name for name in self.searchable if name not in names]
        if unknown or "id" not in names or len(names) != len(self.columns):
            raise ValueError(f"{self.table}: columns {unknown or 'id'} missing or named twice")
        object.__setattr__(self, "by_name", names)


# What each kind is in PostgreSQL; parameters are cast to it.
SQL_TYPE: dict[Kind, str] = {
    "string": "text",
    "id": "text",
    "enum": "text",
    "datetime": "timestamptz",
    "date": "date",
    "decimal": "numeric",
    "integer": "bigint",
    "boolean": "boolean",
    "string_list": "text",
    "json": "jsonb",
}


def fits(kind: Kind, value: object) -> bool:
    """Whether `value` can be compared with a column of that kind."""
    return _FITS[kind](value)


def _text(value: object) -> bool:
    return isinstance(value, str) and storable(value)


def _json(value: object) -> bool:
    return isinstance(value, dict) and all(
        _text(key) and (_text(item) or item is None or isinstance(item, bool | int))
        for key, item in value.items()
    )


_FITS: dict[Kind, Callable[[object], bool]] = {
    "string": _text,
    "id": _text,
    "enum": _text,
    "string_list": _text,
    "datetime": lambda v: isinstance(v, datetime) and v.tzinfo is not None,
    "date": lambda v: isinstance(v, date) and not isinstance(v, datetime),
    "decimal": lambda v: isinstance(v, Decimal) and v.is_finite(),
    "integer": lambda v: type(v) is int and -_BIGINT <= v < _BIGINT,
    "boolean": lambda v: isinstance(v, bool),
    "json": _json,
}


def to_json(value: Any) -> Any:
    """A key's value as a cursor carries it."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def from_json(kind: Kind, value: Any) -> Any:
    """A key's value back from a cursor. Raises ValueError for one we cannot have written."""
    if value is None:
        return None
    parse = _PARSE.get(kind)
    if parse is not None:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a {kind}")
        value = parse(value)
    if not fits(kind, value):
        raise ValueError(f"{value!r} is not a {kind}")
    return value


_PARSE: dict[Kind, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": parse_decimal,
}
