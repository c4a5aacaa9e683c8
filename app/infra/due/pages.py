"""Doing due work by the page, so that it may be done again and one subject spoils no other's.

A subject that is refused (a price that cannot be applied, a meter that is gone) stays due with
the reason noted; the rest of its page is done.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import structlog

from app.infra.due import rows
from app.infra.due.rows import WHOLE, Shard
from app.infra.postgres import writing
from app.kernel.errors import TariffError, Unavailable
from app.kernel.scope import Scope

log = structlog.get_logger(__name__)

# How many subjects by what was done with them, such as `drafted` or `failed`.
Tally = Counter[str]
# What a subject can be refused for; anything else, such as a server that is gone, is retried.
_REFUSALS = (TariffError, ValueError, ArithmeticError, LookupError, asyncpg.DataError)


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` subjects of `scope` whose work is due at `at`, from what follows `after`.

    `watermark`: an instant of the machine; every event accepted before it has been counted.
    `clock_id`: the test clock whose present `at` is; None where it is the environment's.
    `shard`: the subjects are of this part of all.
    """

    scope: Scope
    at: datetime
    watermark: datetime
    limit: int
    after: str = ""
    clock_id: str | None = None
    shard: Shard = WHOLE


@dataclass(frozen=True, slots=True)
class PageDone:
    """What was done, and where the next page begins; None when there is none.

    A page that did something with a subject, or refused it, counts it.
    """

    tally: Tally
    after: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of due work and the function that does a page of it.

    Doing a page again, or twice at the same time, must change nothing. Raises: Unavailable.
    `sharded`: pages of different owners may be done side by side.
    """

    name: str
    do: Callable[[Page], Awaitable[PageDone]]
    sharded: bool = False


async def take(page: Page, kind: str) -> tuple[list[str], str | None]:
    """The subjects of the page, and where the next page begins."""
    found = await rows.waiting(
        page.scope,
        kind,
        at=page.at,
        limit=page.limit,
        after=page.after,
        clock_id=page.clock_id,
        shard=page.shard,
    )
    ids = [each.subject_id for each in found]
    return ids, found[-1].cursor if len(ids) == page.limit else None


async def do_page(
    page: Page, kind: str, done: str, work: Callable[[Sequence[str]], Awaitable[Sequence[str]]]
) -> PageDone:
    """A whole page function for work that is done for many subjects at once.

    `work` gets ids and returns those it did, which are counted as `done`.
    Raises: Unavailable.
    """
    ids, after = await take(page, kind)
    did, refused = await apart(ids, work)
    await note(page, kind, refused)
    tally = Tally({done: len(did), "failed": len(refused)})
    return PageDone(+tally, after)


async def apart(
    ids: Sequence[str], work: Callable[[Sequence[str]], Awaitable[Sequence[str]]]
) -> tuple[list[str], dict[str, str]]:
    """Do the work for all at once; where that is refused, for ever fewer, down to the culprit.

    Returns what was done, and the reasons of what was refused. Raises: Unavailable.
    """
    if not ids:
        return [], {}
    try:
        return list(await work(ids)), {}
    except Unavailable:
        raise
    except _REFUSALS as error:
        if len(ids) == 1:
            return [], {ids[0]: f"{type(error).__name__}: {error}"}
    middle = len(ids) // 2
    first, refused = await apart(ids[:middle], work)
    second, also = await apart(ids[middle:], work)
    return [*first, *second], {**refused, **also}


async def note(page: Page, kind: str, refused: Mapping[str, str]) -> None:
    """Keep the reasons with the due work, which stays."""
    for subject, reason in refused.items():
        log.error("due_work_refused", kind=kind, subject=subject, reason=reason)
        async with writing(page.scope):
            await rows.failed(page.scope, kind, [subject], reason)
