"""The aggregations. To add one: a module here, and its class in the union and registry
below.

Each owns both of its meanings, which a property test compares: the SQL, and a fold in Python.

- `counted(value)` and `quantity_sql(value)`, `unique_sql(value)`: what one event adds, given
  the text of the property (an expression for it in SQL); None and NULL: the event does not
  count, and leaves no metered row;
- `total(rows)` and `total_sql`: the aggregate of metered rows; in SQL over the columns
  `quantity`, `unique_value`, `timestamp`, `event_id`, `period_start` and `period_end`;
- `contributions(rows)` and `contribution_sql`: what each of the rows, in order of (timestamp,
  event_id), adds to the total; in SQL over the same columns but the last two.
"""

from collections.abc import Callable

from app.metering.aggregations.count import Count
from app.metering.aggregations.count_unique import CountUnique
from app.metering.aggregations.counted import Counted
from app.metering.aggregations.sum import Sum

Aggregation = Count | Sum | CountUnique
KINDS: dict[str, Callable[..., Aggregation]] = {
    "count": Count,
    "sum": Sum,
    "count_unique": CountUnique,
}

__all__ = ["KINDS", "Aggregation", "Count", "CountUnique", "Counted", "Sum"]
