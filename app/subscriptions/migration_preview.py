"""What a bulk migration would do: nothing is written, and nothing is billed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import asyncpg

from app.catalog.price import Price
from app.catalog.reads import prices
from app.clocks import reads as clocks
from app.infra.postgres import writing
from app.kernel.currencies import minor_units
from app.kernel.errors import DomainError
from app.kernel.period import Cadence
from app.kernel.quantity import fraction_rounded
from app.kernel.scope import Scope
from app.subscriptions import migration_reads, reads
from app.subscriptions.actions.own_prices import Known, known_of
from app.subscriptions.actions.swapping import swap_of
from app.subscriptions.actions.versions import with_version
from app.subscriptions.change import (
    ChangePlan,
    Direction,
    Failure,
    SubscriptionChange,
    Timing,
)
from app.subscriptions.changes.asking import check_alone
from app.subscriptions.changes.lines import Priced, fixed_amount, of_plan
from app.subscriptions.changes.timing import check_timing, effective
from app.subscriptions.errors import TooManyToMigrate
from app.subscriptions.migration import MOST, MigratePlan
from app.subscriptions.subscription import Subscription

# Subscriptions that are read at once.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would come of one subscription: its change, or why it would be refused.

    `before` and `after` are what recurs of its plan's fixed fees in one of its periods, in its
    currency, exactly.
    """

    subscription: Subscription
    refusal: Failure | None = None
    effective_at: datetime | None = None
    direction: Direction | None = None
    before: Fraction = Fraction(0)
    after: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Recurring:
    """What recurs of fixed fees of the subscriptions that fit, per period of `cadence`, rounded
    to the currency's minor unit."""

    currency: str
    cadence: Cadence
    subscriptions: int
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class MigrationPreview:
    """`refusals`: how many would be refused, by code."""

    what: ChangePlan
    fits: int
    refused: int
    refusals: tuple[tuple[str, int], ...]
    recurring: tuple[Recurring, ...]
    subscriptions: tuple[Foreseen, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A subscription that is asked to change at `at`, with all its lines and the changes that
    are scheduled already."""

    subscription: Subscription
    lines: Sequence[Priced]
    coming: Sequence[SubscriptionChange]
    at: datetime


async def preview(scope: Scope, command: MigratePlan, *, at: datetime) -> MigrationPreview:
    """What `start` would come to now, as far as rules know beforehand.

    Raises: Invalid, NotFound, Archived, PlanNotPublished, TooManyToMigrate.
    """
    check_timing(command.timing)
    async with writing(scope) as connection:
        what = await with_version(connection, scope, command.what)
    version_id = what.plan_version_id or ""
    rows = await migration_reads.selected(scope, command.where, version_id, limit=MOST + 1)
    if len(rows) > MOST:
        raise TooManyToMigrate(MOST)
    offered = (await prices.all_of_versions(scope, [version_id]))[version_id]
    bought: dict[str, Price] = {}
    found: list[Foreseen] = []
    for start in range(0, len(rows), _CHUNK):
        ids = [row["id"] for row in rows[start : start + _CHUNK]]
        found += await _chunk(
            scope, ids, what, command.timing, offered=offered, bought=bought, at=at
        )
    refused = Counter(each.refusal.code for each in found if each.refusal is not None)
    return MigrationPreview(
        what=what,
        fits=len(found) - refused.total(),
        refused=refused.total(),
        refusals=tuple(sorted(refused.items())),
        recurring=sums(found),
        subscriptions=tuple(found),
    )


async def _chunk(
    scope: Scope,
    ids: Sequence[str],
    what: ChangePlan,
    timing: Timing,
    *,
    offered: Sequence[Price],
    bought: dict[str, Price],
    at: datetime,
) -> list[Foreseen]:
    """`bought` remembers prices from one chunk to the next."""
    subscriptions = await reads.by_ids(scope, ids)
    lines = await reads.line_items(scope, ids)
    coming = await reads.scheduled_changes(scope, ids)
    held = {line.price_id for of in lines.values() for line in of}
    unknown = held - bought.keys()
    bought |= await prices.by_ids(scope, unknown) if unknown else {}
    lives = await clocks.of_customers(scope, {s.customer_id for s in subscriptions.values()})
    presents = {owner: clock.frozen_at for owner, clock in lives.items()}
    known = await known_of(scope, [bought[key] for key in held], offered, what.overrides)
    found = []
    async with writing(scope) as connection:
        for key in ids:
            asked = Asked(
                subscriptions[key],
                [(line, bought[line.price_id]) for line in lines[key]],
                coming[key],
                at=presents.get(subscriptions[key].customer_id, at),
            )
            foreseen = await foresee(
                connection, scope, asked, what, timing=timing, sold=offered, known=known
            )
            found.append(foreseen)
    return found


async def foresee(
    connection: asyncpg.Connection,
    scope: Scope,
    asked: Asked,
    what: ChangePlan,
    *,
    timing: Timing,
    sold: Sequence[Price],
    known: Known,
) -> Foreseen:
    """By the rules by which the change itself is refused or made; nothing is stored."""
    subscription, lines = asked.subscription, asked.lines
    try:
        effective_at = effective(subscription, timing, at=asked.at)
        swap = await swap_of(
            connection,
            scope,
            subscription,
            what,
            lines=lines,
            at=effective_at,
            sold=sold,
            known=known,
        )
        check_alone(what, lines, asked.coming, effective_at)
    except DomainError as error:
        return Foreseen(subscription, Failure(error.code, error.message))
    cadence = subscription.cadence
    before = fixed_amount(of_plan(lines, effective_at), cadence)
    after = before - fixed_amount(swap.closed, cadence) + fixed_amount(swap.opened, cadence)
    direction = swap.direction(cadence)
    return Foreseen(subscription, None, effective_at, direction, before, after)


def sums(found: Sequence[Foreseen]) -> tuple[Recurring, ...]:
    """By currency and cadence, of those that fit; each sum is rounded once."""
    groups: defaultdict[tuple[str, Cadence], list[Foreseen]] = defaultdict(list)
    for each in found:
        if each.refusal is None:
            groups[each.subscription.currency, each.subscription.cadence].append(each)
    return tuple(
        Recurring(
            currency,
            cadence,
            len(group),
            fraction_rounded(sum((e.before for e in group), Fraction()), minor_units(currency)),
            fraction_rounded(sum((e.after for e in group), Fraction()), minor_units(currency)),
        )
        for (currency, cadence), group in sorted(
            groups.items(), key=lambda item: (item[0][0], item[0][1].unit, item[0][1].count)
        )
    )
