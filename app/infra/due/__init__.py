"""Due work: what has to happen at an instant, as rows instead of timers.

A row says that a subject has work of a kind from `due_at` on. Whoever does the work moves the
row to the next instant, or removes it, in the transaction that does it: a crash leaves the row
where it was. An environment on a clock of its own only needs its own "now" to find its rows.

A page function does one page of the work of one kind (`pages`). Domains write them next to
their actions; who does which kind, and in which order, is on one page above the domains.
"""

from app.infra.due.clocked import Standing, amount, earliest, give_up, refused, with_work
from app.infra.due.members import clocks_of, environment_has_work, has_work, settle
from app.infra.due.pages import Kind, Page, PageDone, Tally, apart, do_page, note, take
from app.infra.due.rows import (
    WHOLE,
    Due,
    Item,
    Shard,
    cancel,
    failed,
    hasten,
    schedule,
    schedule_many,
    schedule_new,
    scopes_with_work,
    waiting,
)

__all__ = [
    "WHOLE",
    "Due",
    "Item",
    "Kind",
    "Page",
    "PageDone",
    "Shard",
    "Standing",
    "Tally",
    "amount",
    "apart",
    "cancel",
    "clocks_of",
    "do_page",
    "earliest",
    "environment_has_work",
    "failed",
    "give_up",
    "has_work",
    "hasten",
    "note",
    "refused",
    "schedule",
    "schedule_many",
    "schedule_new",
    "scopes_with_work",
    "settle",
    "take",
    "waiting",
    "with_work",
]
