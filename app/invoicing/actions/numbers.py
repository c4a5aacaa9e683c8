"""Numbers given out, without a gap: the rows of the counters stay locked until the commit."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

import asyncpg

from app.invoicing import numbering
from app.kernel.scope import Scope
from app.tenants.settings import InvoiceSettings

# In one order, so that two at a time wait for each other instead of locking each other out.
_TAKE = (
    "INSERT INTO invoice_number_counters AS c (tenant_id, environment_id, key, issued) "
    "SELECT $1, $2, row.key, $3::bigint - 1 + row.wanted "
    "FROM unnest($4::text[], $5::bigint[]) AS row(key, wanted) ORDER BY row.key "
    "ON CONFLICT (tenant_id, environment_id, key) "
    "DO UPDATE SET issued = c.issued + excluded.issued - $3::bigint + 1 "
    "RETURNING c.key, c.issued"
)


async def take(
    connection: asyncpg.Connection,
    scope: Scope,
    prefixes: Sequence[str],
    *,
    settings: InvoiceSettings,
    at: datetime,
    series: str = "",
) -> list[str]:
    """The next numbers, one for each of the prefixes, in their order. One statement.

    `series` keeps counters apart whose numbers begin alike, such as those of credit notes.
    """
    known = {prefix: numbering.head(settings, prefix, at) for prefix in set(prefixes)}
    heads = [known[prefix] for prefix in prefixes]
    if not heads:
        return []
    wanted = Counter(heads)
    rows = await connection.fetch(
        _TAKE,
        scope.tenant_id,
        scope.environment_id,
        settings.number_start,
        [f"{series}{head}" for head in wanted],
        list(wanted.values()),
    )
    ended = {row["key"].removeprefix(series): row["issued"] for row in rows}
    return list(_counted(heads, {head: ended[head] - wanted[head] for head in wanted}, settings))


def _counted(
    heads: Sequence[str], before: dict[str, int], settings: InvoiceSettings
) -> Iterator[str]:
    given: defaultdict[str, int] = defaultdict(int, before)
    for head in heads:
        given[head] += 1
        yield numbering.number(settings, head, given[head])
