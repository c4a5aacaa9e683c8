"""What allowances leave of usage: which spans to count, and what is beyond them. Pure.

In each of its windows an allowance lets `limit` units go. What a part of a window uses beyond
it is what the window had beyond it by the end of the part, less what it had by the beginning:

    max(0, used until the end − limit) − max(0, used until the beginning − limit)

so that the parts of a window add up to the whole, whoever cuts it: a month of an annual
allowance, the days before and after a change of plan. It asks for what was used since the
window began, and adds no differences of usage, so that it holds for every aggregation.

Allowances of one rhythm add up. Those of different rhythms are used up one after another, the
shorter first: the next sees only what the one before let pass. A limit counts from the instant
it is given, against all that the window used; a window begins when the allowance does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.catalog.entitlement_terms import Metered, Resets
from app.kernel.period import Period
from app.kernel.quantity import EXACT, Number, minus, plus
from app.subscriptions.allowance_windows import Rhythm, Window, rhythm_of
from app.subscriptions.entitlements import Entitled, Given, bounds, in_force

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be used from `start` until before `end` (None: no end).

    `limit` None is without limit. `since`: from when on usage counts, which is when the
    allowance came to be without a break.
    """

    start: datetime
    end: datetime | None
    limit: Decimal | None
    since: datetime

    def covers(self, at: datetime) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Everything that is included of a feature in one rhythm, over time."""

    rhythm: Rhythm
    limits: tuple[Limit, ...]

    def at(self, at: datetime) -> Limit | None:
        return next((limit for limit in self.limits if limit.covers(at)), None)

    def window(self, limit: Limit, at: datetime) -> Window:
        """The window that holds `at`, from where usage counts in it."""
        window = self.rhythm.containing(at)
        return Window(max(window.start, limit.since), window.end)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was used in a period, as counted."""

    period: Period


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a part of a window used beyond the limit; None: there is no limit.

    `until` is what the window used until the end of the part, `before` until its beginning;
    None where they are the same instant.
    """

    resets: Resets
    window: Window
    part: Period
    limit: Decimal | None
    until: "Left"
    before: "Left | None"


@dataclass(frozen=True, slots=True)
class Total:
    """All of the parts together."""

    parts: tuple["Left", ...]


# What is left of usage, as an expression: usage is put into it when it has been counted.
Left = Counted | Beyond | Total


def allowances(entitled: Sequence[Entitled], feature_id: str) -> tuple[Allowance, ...]:
    """What these subscriptions include of a metered feature, in the order it is used up."""
    of_each = [(each, each.of(feature_id)) for each in entitled]
    edges = bounds([given for _, of in of_each for given in of])
    found: dict[tuple[str, ...], tuple[Rhythm, list[Limit]]] = {}
    for index, start in enumerate(edges):
        end = edges[index + 1] if index + 1 < len(edges) else None
        for rhythm, limit in _included(of_each, start):
            limits = found.setdefault(rhythm.key, (rhythm, []))[1]
            _extend(limits, start, end, limit)
    ordered = sorted(found.values(), key=lambda pair: pair[0].order)
    return tuple(Allowance(rhythm, tuple(limits)) for rhythm, limits in ordered)


def left(allowed: Sequence[Allowance], period: Period) -> Left:
    """What of the usage of `period` the allowances do not cover.

    A sliding one covers nothing: it has no windows that could be settled, and bounds alone what
    may be used at a time.
    """
    settled = [each for each in allowed if each.rhythm.resets is not Resets.SLIDING]
    return _left(settled, period.start, period.end)


def asked(expression: Left) -> Iterator[Period]:
    """The periods whose usage has to be counted; some come more than once."""
    match expression:
        case Counted(period):
            yield period
        case Beyond():
            if expression.limit is not None:
                yield from asked(expression.until)
                if expression.before is not None:
                    yield from asked(expression.before)
        case Total(parts):
            for part in parts:
                yield from asked(part)


def evaluate(expression: Left, used: Callable[[Period], Number]) -> Number:
    """What is left, where `used` says what was counted in each period that was `asked`."""
    if isinstance(expression, Counted):
        return used(expression.period)
    if isinstance(expression, Total):
        total: Number = _ZERO
        for part in expression.parts:
            total = plus(total, evaluate(part, used))
        return total
    if expression.limit is None:
        return _ZERO
    after = beyond(evaluate(expression.until, used), expression.limit)
    if expression.before is None:
        return after
    return minus(after, beyond(evaluate(expression.before, used), expression.limit))


def beyond(used: Number, limit: Number) -> Number:
    return max(_ZERO, minus(used, limit))


def _left(allowed: Sequence[Allowance], start: datetime, end: datetime) -> Left:
    if not allowed:
        return Counted(Period(start, end))
    *earlier, last = allowed
    parts: list[Left] = []
    at = start
    for limit in last.limits:
        low = max(limit.start, start)
        high = end if limit.end is None else min(limit.end, end)
        if low >= high:
            continue
        if at < low:
            parts.append(_left(earlier, at, low))
        parts += _parts(earlier, last, limit, Period(low, high))
        at = high
    if at < end:
        parts.append(_left(earlier, at, end))
    return parts[0] if len(parts) == 1 else Total(tuple(parts))


def _parts(
    earlier: Sequence[Allowance], last: Allowance, limit: Limit, period: Period
) -> Iterator[Left]:
    """One for every window of the period, in which the limit is the same."""
    for whole in last.rhythm.windows(period.start, period.end):
        window = Window(max(whole.start, limit.since), whole.end)
        low = max(window.start, period.start)
        high = period.end if window.end is None else min(window.end, period.end)
        before = _left(earlier, window.start, low) if window.start < low else None
        until = _left(earlier, window.start, high)
        yield Beyond(last.rhythm.resets, window, Period(low, high), limit.limit, until, before)


def _included(
    of_each: Sequence[tuple[Entitled, Sequence[Given]]], at: datetime
) -> Iterator[tuple[Rhythm, Decimal | None]]:
    """The limits in force at an instant: one for each rhythm."""
    found: dict[tuple[str, ...], tuple[Rhythm, Decimal | None]] = {}
    for entitled, given in of_each:
        for each in in_force(given, at):
            terms = each.entitlement.terms
            if not each.entitlement.enabled or not isinstance(terms, Metered):
                continue
            rhythm = rhythm_of(terms, entitled.subscription)
            limit = _times(terms.limit, each.quantity)
            if rhythm.key in found:
                limit = _both(found[rhythm.key][1], limit)
            found[rhythm.key] = (rhythm, limit)
    yield from found.values()


def _times(limit: Decimal | None, quantity: Decimal) -> Decimal | None:
    """The limit of so many of the same; None is without limit."""
    return None if limit is None else EXACT.multiply(limit, quantity)


def _both(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Both limits together; None is without limit."""
    return None if one is None or other is None else EXACT.add(one, other)


def _extend(
    limits: list[Limit], start: datetime, end: datetime | None, limit: Decimal | None
) -> None:
    """Go on with what was before, without a break; or begin anew."""
    since = start
    if limits and limits[-1].end == start:
        since = limits[-1].since
        if limits[-1].limit == limit:
            limits[-1] = Limit(limits[-1].start, end, limit, since)
            return
    limits.append(Limit(start, end, limit, since))
