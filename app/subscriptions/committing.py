"""The commitments of a subscription: what may be asked for, which holds when, and how far a period
uses it up. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.catalog.price import Billing, ChargeKind, Price, cadence
from app.catalog.prices import Formula, Matrix, Percentage, numbers
from app.kernel.copies import replace
from app.kernel.errors import Invalid
from app.kernel.period import Cadence, Period
from app.subscriptions.commitments import (
    NO_COMMITMENT,
    Commitment,
    CommitmentTerms,
    DayPart,
    HeldCommitment,
)
from app.subscriptions.errors import PeriodHasNoEnd
from app.subscriptions.periods import containing, cycle_at
from app.subscriptions.subscription import Subscription
from app.subscriptions.timeline import multiple_of

MOST = 100


@dataclass(frozen=True, slots=True)
class Committing:
    """A commitment that holds for a service period.

    What was billed towards it from `since` on counts; `cumulative`: of periods before this one
    as well. `settles`: what is missing is paid now. `final`: the period is over, and not billed
    ahead of its end.
    """

    commitment: Commitment
    windowed: bool
    cumulative: bool
    since: datetime
    settles: bool
    hash: str
    day_parts: tuple[DayPart, ...] = ()  # of windows


def committing_of(
    subscription: Subscription, price_id: str | None, period: Period, *, final: bool
) -> Committing | None:
    """What holds for the usage of a price, or of the whole subscription, in the period.

    Nothing holds in a trial.
    """
    if not subscription.commitments or period.start < subscription.charged_from:
        return None
    held = next(
        (
            each
            for each in subscription.commitments
            if each.terms.price_id == price_id and each.holds_at(period.start)
        ),
        None,
    )
    if held is None:
        return None
    terms = held.terms
    if terms.duration is None or terms.duration == subscription.cadence:
        return Committing(
            terms.commitment,
            terms.windowed,
            cumulative=False,
            since=period.start,
            settles=final,
            hash=terms.content_hash,
            day_parts=terms.day_parts,
        )
    cycle = cycle_at(subscription, period.start, terms.duration)
    since = max(cycle.start, subscription.charged_from, held.starts_at or cycle.start)
    last = period.end in (cycle.end, subscription.ends_at, held.ends_at)
    return Committing(
        terms.commitment, terms.windowed, True, since, final and last, terms.content_hash
    )


def is_cumulative(subscription: Subscription) -> bool:
    """Whether a bill has to know of the one before it."""
    return any(each.terms.duration is not None for each in subscription.commitments)


def checked(
    wanted: Sequence[CommitmentTerms], bought: Sequence[Price], base: Cadence
) -> tuple[CommitmentTerms, ...]:
    """The terms, if every one can be kept by a subscription of this cadence on these prices.

    They name a price of its own by that of the catalogue, so that they hold whatever it pays.
    Raises: Invalid.
    """
    if len(wanted) > MOST:
        raise _refused("commitments", f"at most {MOST}", "INVALID_COMMITMENTS")
    prices = {price.id: price for price in bought}
    prices |= {price.catalogue_id: price for price in bought}
    wanted = [_of_catalogue(terms, prices) for terms in wanted]
    for index, terms in enumerate(wanted):
        field = f"commitments[{index}]"
        if any(terms.price_id == earlier.price_id for earlier in wanted[:index]):
            raise _refused(field, "one for each price, and one for all", "DUPLICATE_COMMITMENT")
        _check_amounts(terms, field)
        _check_day(terms, field)
        _check_subject(terms, prices, field)
        _check_duration(terms, prices, base, field)
    return tuple(wanted)


def held(terms: Sequence[CommitmentTerms]) -> tuple[HeldCommitment, ...]:
    """As held from the subscription's start on."""
    return tuple(HeldCommitment(each) for each in terms)


def changed(
    subscription: Subscription, wanted: Sequence[CommitmentTerms], *, at: datetime
) -> tuple[HeldCommitment, ...]:
    """What the subscription holds once its terms change with its next period.

    One whose terms stay goes on. Where no period is under way, nothing has come of the terms
    yet, and they change altogether.
    """
    service = containing(subscription, at)
    if service is None:
        return held(wanted)
    return _changed_from(subscription.commitments, wanted, service.period.end)


def phased(
    subscription: Subscription,
    left: Collection[str],
    begun: Mapping[str, Price],
    wanted: Sequence[CommitmentTerms] | None,
    *,
    at: datetime,
) -> tuple[HeldCommitment, ...]:
    """What is held once a phase has begun.

    `left` are the prices of the catalogue whose lines end with it, `begun` the usage prices of
    those that begin, by the same. `wanted` holds from the phase's first period on, the one that
    begins at `at` or next; None: what was held of prices that are still bought. What is held of
    a price that costs something else from then on is settled with what was used until then.
    Raises: Invalid (a new price cannot keep it), PeriodHasNoEnd.
    """
    if wanted is None:
        over = set(left) - begun.keys()
        found = replace(subscription, commitments=ended(subscription.commitments, over, at=at))
        for price_id in sorted(set(left) & begun.keys()):
            found = replace(found, commitments=repriced(found, begun[price_id], at=at))
        return found.commitments
    boundary = subscription.charged_from
    if at > boundary:
        cycle = cycle_at(subscription, at)
        if cycle.start < at and cycle.end is None:
            raise PeriodHasNoEnd(subscription.id, "startsAt")
        boundary = at if cycle.start == at or cycle.end is None else cycle.end
    return _changed_from(ended(subscription.commitments, left, at=at), wanted, boundary)


def _changed_from(
    commitments: Sequence[HeldCommitment], wanted: Sequence[CommitmentTerms], boundary: datetime
) -> tuple[HeldCommitment, ...]:
    """Other terms for periods that begin from `boundary` on; one whose terms stay goes on."""
    kept = [each for each in commitments if each.starts_at is None or each.starts_at < boundary]
    going_on = {each.terms for each in kept if _open(each, boundary)}
    stay = going_on & set(wanted)
    ended = [
        replace(each, ends_at=None if each.terms in stay else boundary)
        if _open(each, boundary)
        else each
        for each in kept
    ]
    return (
        *ended,
        *(HeldCommitment(terms, starts_at=boundary) for terms in wanted if terms not in stay),
    )


def repriced(
    subscription: Subscription, price: Price, *, at: datetime
) -> tuple[HeldCommitment, ...]:
    """What is held once a usage price costs something else from `at` on.

    A commitment to it is settled with what was used until then, and holds again from the next
    period on. Raises: Invalid (the new price cannot keep it), PeriodHasNoEnd.
    """
    found: list[HeldCommitment] = []
    for each in subscription.commitments:
        found.append(each)
        over = each.ends_at is not None and each.ends_at <= at
        if each.terms.price_id != price.catalogue_id or over or at < subscription.charged_from:
            continue
        if reason := _why_not(each.terms, price):
            raise _refused("commitments", reason, "COMMITMENT_NOT_APPLICABLE")
        if each.starts_at is None or each.starts_at < at:
            cycle = cycle_at(subscription, at)
            again = at if cycle.start == at else cycle.end
            if again is None:
                raise PeriodHasNoEnd(subscription.id, "mode")
            found[-1] = replace(each, ends_at=at)
            if each.ends_at is None or each.ends_at > again:
                found.append(replace(each, starts_at=again))
    return tuple(found)


def ended(
    commitments: Sequence[HeldCommitment], price_ids: Collection[str], *, at: datetime
) -> tuple[HeldCommitment, ...]:
    """What is held once these prices are no longer bought; a commitment to all usage stays."""
    return tuple(
        replace(each, ends_at=at)
        if each.terms.price_id in price_ids and (each.ends_at is None or each.ends_at > at)
        else each
        for each in commitments
        if each.terms.price_id not in price_ids or each.starts_at is None or each.starts_at < at
    )


def _of_catalogue(terms: CommitmentTerms, prices: Mapping[str, Price]) -> CommitmentTerms:
    price = prices.get(terms.price_id or "")
    return terms if price is None else replace(terms, price_id=price.catalogue_id)


def _open(held_: HeldCommitment, boundary: datetime) -> bool:
    return held_.ends_at is None or held_.ends_at >= boundary


def _check_amounts(terms: CommitmentTerms, field: str) -> None:
    """Beside parts of the day there may be none."""
    parts = (
        (part.commitment, f"{field}.timeOfDay[{place}]")
        for place, part in enumerate(terms.day_parts)
    )
    for commitment, where in ((terms.commitment, field), *parts):
        if not (terms.day_parts and commitment == NO_COMMITMENT):
            _check_amount(commitment, where)


def _check_amount(commitment: Commitment, field: str) -> None:
    for name in ("amount", "quantity"):
        value = getattr(commitment, name)
        if value is not None:
            numbers.positive(value, f"{field}.{name}")
    numbers.amount(commitment.overage_factor, f"{field}.overageFactor")


def _check_day(terms: CommitmentTerms, field: str) -> None:
    """Every hour of the day is in one part at most."""
    taken: set[int] = set()
    for place, part in enumerate(terms.day_parts):
        if taken & part.hours:
            where = f"{field}.timeOfDay[{place}]"
            raise _refused(where, f"{part.name} overlaps another", "INVALID_TIME_OF_DAY")
        taken |= part.hours
    if terms.day_parts and not terms.windowed:
        raise _refused(
            f"{field}.timeOfDay", "only windows have a time of day", "COMMITMENT_NOT_APPLICABLE"
        )


def _check_subject(terms: CommitmentTerms, prices: Mapping[str, Price], field: str) -> None:
    if terms.price_id is None:
        if terms.commitment.quantity is not None or terms.windowed:
            several = "usage of several prices has no quantity and no windows; commit to an amount"
            raise _refused(field, several, "COMMITMENT_NOT_APPLICABLE")
        return
    price = prices.get(terms.price_id)
    if price is None:
        unknown = f"{terms.price_id} is no price that the subscription buys"
        raise _refused(f"{field}.priceId", unknown, "INVALID_COMMITMENTS")
    if reason := _why_not(terms, price):
        raise _refused(f"{field}.priceId", reason, "COMMITMENT_NOT_APPLICABLE")


def _why_not(terms: CommitmentTerms, price: Price) -> str | None:
    model, adjustments = price.model, price.adjustments
    if price.charge is not ChargeKind.USAGE or price.billing is Billing.ONE_TIME:
        return "only usage can be committed to"
    if price.group_by and adjustments.tiers_per != "total":
        return "its groups are priced on their own; price all of them together"
    if isinstance(model, Matrix) and model.line_per_row:
        return "its rows are lines of their own"
    several = isinstance(model, Percentage | Matrix | Formula)
    if terms.commitment.quantity is not None and several:
        return "it does not price one quantity; commit to an amount"
    if terms.windowed and (adjustments.bucket is None or several or price.conversion is not None):
        return "it has no windows in the subscription's currency"
    if terms.day_parts and adjustments.bucket != "hour":
        return "its windows are no hours, which are what parts of a day are made of"
    if adjustments.bucket is not None and terms.commitment.quantity is not None:
        return None if terms.windowed else "it prices windows, so commit to a quantity of each"
    return None


def _check_duration(
    terms: CommitmentTerms, prices: Mapping[str, Price], base: Cadence, field: str
) -> None:
    if terms.duration is None:
        return
    duration = cadence(terms.duration.unit, terms.duration.count)
    own = base if terms.price_id is None else prices[terms.price_id].cadence
    if terms.windowed or multiple_of(duration, own) is None or multiple_of(duration, base) is None:
        raise _refused(
            f"{field}.duration",
            f"every {duration.count} {duration.unit} must be a whole number of the periods that "
            f"are billed, which last {own.count} {own.unit}, and not be cut into windows",
            "INVALID_COMMITMENT_DURATION",
        )


def _refused(field: str, reason: str, code: str) -> Invalid:
    return Invalid(f"{field}: {reason}", field=field, code=code)
