"""Which prices of a plan a subscription buys, how much of each, and the trial it gets. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from app.catalog.price import LONGEST_TRIAL_DAYS, Billing, ChargeKind, Price
from app.catalog.prices import numbers
from app.kernel import checks
from app.kernel.errors import Invalid
from app.kernel.period import Cadence, Duration
from app.subscriptions.subscription import CreateSubscription, Held, Override, Trial
from app.subscriptions.timeline import multiple_of


class Sought(Protocol):
    """The currency and the rhythm that prices must fit."""

    @property
    def currency(self) -> str: ...

    @property
    def cadence(self) -> Cadence: ...


def bought(offered: Sequence[Price], terms: Sought, wanted: Sequence[str] | None) -> list[Price]:
    """The prices that are wanted, or all that fit the terms. Raises: Invalid."""
    found = [price for price in offered if price.currency == terms.currency]
    if wanted is not None:
        return _named(found, terms, wanted)
    chosen = [p for p in found if p.billing is Billing.ONE_TIME or p.cadence == terms.cadence]
    if chosen:
        return chosen
    others = sorted({f"{p.currency} every {p.cadence.count} {p.cadence.unit}" for p in offered})
    raise Invalid(
        f"planId: the plan has no price in force in {terms.currency} every "
        f"{terms.cadence.count} {terms.cadence.unit}; it has {'; '.join(others) or 'none at all'}",
        field="planId",
        code="NO_MATCHING_PRICE",
    )


def quantities(
    prices: Sequence[Price], wanted: Sequence[Held], overrides: Sequence[Override] = ()
) -> dict[str, Decimal]:
    """What is held of each fixed charge: 1 where nothing else is wanted. Raises: Invalid."""
    held = {price.id: Decimal(1) for price in prices if price.charge is ChargeKind.FIXED}
    asked = {f"quantities[{index}]": each for index, each in enumerate(wanted)}
    asked |= {
        f"overrides[{index}]": Held(each.price_id, each.quantity)
        for index, each in enumerate(overrides)
        if each.quantity is not None
    }
    named: set[str] = set()
    for field, each in asked.items():
        if each.price_id not in held or each.price_id in named:
            raise Invalid(
                f"{field}.priceId: {each.price_id} must be a fixed price that the subscription "
                f"gets, named once; those are: {', '.join(sorted(held)) or 'none'}",
                field=f"{field}.priceId",
                code="INVALID_QUANTITIES",
            )
        named.add(each.price_id)
        held[each.price_id] = numbers.amount(each.quantity, f"{field}.quantity")
    return held


def check_overrides(prices: Sequence[Price], wanted: Sequence[Override]) -> None:
    """Each is of a price that is bought, named once, and says something. Raises: Invalid."""
    known = {price.id for price in prices}
    for index, each in enumerate(wanted):
        field = f"overrides[{index}]"
        again = each.price_id in {earlier.price_id for earlier in wanted[:index]}
        if each.price_id not in known or again:
            raise Invalid(
                f"{field}.priceId: {each.price_id} must be a price that the subscription buys, "
                f"named once; those are: {', '.join(sorted(known)) or 'none'}",
                field=f"{field}.priceId",
                code="INVALID_OVERRIDES",
            )
        if not each.terms and each.quantity is None:
            raise Invalid(
                f"{field}: say what is other than in the price: its model, its adjustments, or "
                "the quantity",
                field=field,
                code="REQUIRED",
            )


def trial_of(
    command: CreateSubscription, prices: Sequence[Price], *, starts_at: datetime, timezone: str
) -> Trial | None:
    """The trial that the command names, else the one that the prices state; None for none.

    Raises: Invalid.
    """
    days = command.trial_days
    if command.trial_ends_at is not None:
        if days is not None:
            raise checks.invalid("trialEndsAt", "name the end or the days of the trial, not both")
        trial = Trial(command.trial_ends_at, bills_usage=command.bills_trial_usage)
        return checked_trial(trial, starts_at, command.ends_at)
    if days is None:
        days = _stated(prices)
    if not days:
        return None
    ends_at = trial_end(starts_at, days, timezone)
    trial = Trial(ends_at, days=days, bills_usage=command.bills_trial_usage)
    return checked_trial(trial, starts_at, command.ends_at, field="trialDays")


def check_trial_days(days: int | None) -> None:
    """Raises: Invalid (INVALID_TRIAL_DAYS) for days out of bounds; None is what the prices say."""
    if days is not None and not 0 <= days <= LONGEST_TRIAL_DAYS:
        raise checks.invalid("trialDays", f"{days} must lie between 0 and {LONGEST_TRIAL_DAYS}")


def trial_end(starts_at: datetime, days: int, timezone: str) -> datetime:
    """The same wall time so many local calendar days later."""
    return Duration(days=days).after(starts_at, ZoneInfo(timezone))


def checked_trial(
    trial: Trial, starts_at: datetime, ends_at: datetime | None, *, field: str = "trialEndsAt"
) -> Trial:
    """Raises: Invalid where it does not end within the subscription, or lasts too long."""
    latest = starts_at + timedelta(days=LONGEST_TRIAL_DAYS + 1)  # clocks change on the way
    if ends_at is not None:
        latest = min(latest, ends_at)
    if not starts_at < trial.ends_at <= latest:
        raise checks.invalid(
            field,
            f"the trial would end at {trial.ends_at.isoformat()}; it must end after "
            f"{starts_at.isoformat()} and no later than {latest.isoformat()}",
        )
    return trial


def _named(found: Sequence[Price], terms: Sought, wanted: Sequence[str]) -> list[Price]:
    known = {price.id: price for price in found}
    for index, price_id in enumerate(wanted):
        field = f"priceIds[{index}]"
        if price_id not in known or price_id in wanted[:index]:
            raise Invalid(
                f"{field}: {price_id} must be a price of the plan in force in {terms.currency}, "
                f"named once; those are: {', '.join(known) or 'none'}",
                field=field,
                code="INVALID_PRICE_IDS",
            )
        _check_cadence(known[price_id], terms.cadence, field)
    if not wanted:
        raise checks.invalid("priceIds", "name at least one price, or leave the list out")
    return [price for price in found if price.id in wanted]


def _check_cadence(price: Price, base: Cadence, field: str) -> None:
    once = price.billing is Billing.ONE_TIME
    if once or multiple_of(price.cadence, base) is not None:
        return
    raise Invalid(
        f"{field}: every {price.cadence.count} {price.cadence.unit} must be a whole number of "
        f"periods of the subscription, which last {base.count} {base.unit}",
        field=field,
        code="CADENCE_MISMATCH",
    )


def _stated(prices: Sequence[Price]) -> int:
    """The days that the prices state; 0 where none does. Raises: Invalid (TRIALS_DISAGREE)."""
    stated = {price.trial_days: price.display_name for price in prices if price.trial_days}
    if len(stated) > 1:
        named = "; ".join(f"{name}: {days} days" for days, name in sorted(stated.items()))
        raise Invalid(
            f"trialDays: the prices state trials that differ ({named}); name the days",
            field="trialDays",
            code="TRIALS_DISAGREE",
        )
    return next(iter(stated), 0)
