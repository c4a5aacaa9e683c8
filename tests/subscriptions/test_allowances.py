"""What allowances leave of usage, against a count of event after event."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.entitlement import Overrides, Owner, OwnerKind
from app.kernel.copies import replace
from app.kernel.ids import new_id
from app.kernel.period import Cadence, Period
from app.subscriptions.allowances import allowances, asked, evaluate, left
from app.subscriptions.entitlements import entitled, in_force
from app.subscriptions.holding import Holding
from tests.catalog.entitlement_rows import FEATURE, entitlement, metered
from tests.subscriptions.make import JAN, at, row

YEAR = Period(JAN, at(2027, 1, 1))
D = Decimal


@dataclass(frozen=True)
class Sold:
    """A subscription and what it was given of one feature."""

    subscription: object
    holdings: tuple = ()
    bought: tuple = ()
    own: tuple = ()

    def holds(self, *terms, kind=OwnerKind.PLAN, quantity=1, starts_at=None, ends_at=None):
        rows = tuple(entitlement(each, kind=kind) for each in terms)
        ids = tuple(each.id for each in rows)
        new = Holding(
            new_id("hold"), self.subscription.id, Owner(kind, f"{kind.value}_1"), D(quantity), ids,
            starts_at, ends_at, JAN, JAN,
        )  # fmt: skip
        return replace(self, holdings=(*self.holdings, new), bought=(*self.bought, *rows))

    def overridden(self, terms, overrides=Overrides.ALL, *, start=JAN, end=None, **fields):
        new = entitlement(
            terms, kind=OwnerKind.SUBSCRIPTION, overrides=overrides, effective_from=start,
            effective_until=end, **fields,
        )  # fmt: skip
        return replace(self, own=(*self.own, new))

    @property
    def entitled(self):
        bought = {each.id: each for each in self.bought}
        return entitled(self.subscription, self.holdings, bought, self.own)

    @property
    def allowances(self):
        return allowances([self.entitled], FEATURE)

    def limits(self, instant):
        """What is included at an instant: the rhythm and the limit, as text."""
        found = [(each.rhythm.resets.value, each.at(instant)) for each in self.allowances]
        return [
            (name, None if limit.limit is None else str(limit.limit))
            for name, limit in found
            if limit is not None
        ]

    def billed(self, events, period):
        """What of (instant, quantity) events is beyond the allowances in a period."""
        return evaluate(left(self.allowances, period), summed(events))


def sold(*terms, **fields):
    return Sold(row(**fields)).holds(*terms)


def summed(events):
    def used(period):
        return sum((amount for when, amount in events if period.contains(when)), D(0))

    return used


def unique(events):
    def used(period):
        return D(len({value for when, value in events if period.contains(when)}))

    return used


def daily(period, amount="10"):
    """An event at noon of every day of a period."""
    days = (period.end - period.start).days
    return [(period.start + timedelta(days=day, hours=12), D(amount)) for day in range(days)]


def months(year=2026):
    edges = [at(year, month, 1) for month in range(1, 13)] + [at(year + 1, 1, 1)]
    return [Period(a, b) for a, b in pairwise(edges)]


# What is asked, and what it comes to.


def test_nothing_included_leaves_what_was_counted():
    expression = left((), YEAR)
    assert list(asked(expression)) == [YEAR]
    assert evaluate(expression, summed(daily(YEAR))) == D(3650)


def test_a_limit_of_zero_leaves_all_and_no_limit_leaves_nothing():
    events = daily(YEAR)
    january = months()[0]
    assert sold(metered("0")).billed(events, january) == D(310)
    unlimited = sold(metered(None))
    assert unlimited.billed(events, january) == 0
    assert list(asked(left(unlimited.allowances, january))) == []


def test_a_monthly_allowance_on_a_monthly_bill_asks_for_the_month_alone():
    january = months()[0]
    allowed = sold(metered("300")).allowances
    assert list(asked(left(allowed, january))) == [january]
    assert evaluate(left(allowed, january), summed(daily(january))) == D(10)


def test_a_daily_allowance_is_not_carried_over_to_the_next_day():
    events = [(at(2026, 1, 1, 12), D(5)), (at(2026, 1, 2, 12), D(15))]
    assert sold(metered("10", "day")).billed(events, months()[0]) == D(5)


def test_an_allowance_that_is_never_reset_is_used_up_once_and_its_bills_telescope():
    one = sold(metered("450", "never"))
    events = daily(YEAR)
    bills = [one.billed(events, month) for month in months()]
    # January uses 310; 140 are left in February, which uses 280.
    assert bills[:4] == [D(0), D(140), D(310), D(300)]
    assert sum(bills) == 3650 - 450


def test_a_yearly_allowance_on_monthly_bills_begins_anew_with_the_year():
    one = sold(metered("3600", "year"))
    two_years = Period(JAN, at(2028, 1, 1))
    bills = [one.billed(daily(two_years), month) for month in [*months(), *months(2027)]]
    assert [bill for bill in bills if bill] == [D(50), D(50)]
    assert bills[11] == bills[23] == D(50)


def test_a_month_is_the_subscription_s_own_and_a_week_begins_on_monday():
    start = at(2026, 1, 15, 9)
    one = sold(metered("1"), metered("1", "week"), starts_at=start, anchor=start)
    by_name = {each.rhythm.resets.value: each for each in one.allowances}
    month = by_name["month"].rhythm.containing(at(2026, 2, 20))
    assert (month.start, month.end) == (at(2026, 2, 15, 9), at(2026, 3, 15, 9))
    week = by_name["week"].rhythm.containing(at(2026, 1, 15, 9))
    assert (week.start, week.end) == (at(2026, 1, 12), at(2026, 1, 19))
    calendar = sold(metered("1", "quarter"), starts_at=start, alignment="calendar")
    quarter = calendar.allowances[0].rhythm.containing(start)
    assert (quarter.start, quarter.end) == (at(2026, 1, 1), at(2026, 4, 1))


def test_billing_periods_of_three_months_are_windows_of_three_months():
    one = sold(metered("100", "billing_period"), cadence=Cadence("month", 3))
    window = one.allowances[0].rhythm.containing(at(2026, 5, 5))
    assert (window.start, window.end) == (at(2026, 4, 1), at(2026, 7, 1))


@pytest.mark.parametrize(
    ("day", "hours"),
    [(at(2026, 3, 8, 5), 23), (at(2026, 3, 7, 5), 24), (at(2026, 11, 1, 4), 25)],
    ids=["spring forward", "as usual", "fall back"],
)
def test_a_day_is_local_and_has_23_or_25_hours_when_the_clocks_change(day, hours):
    one = sold(metered("10", "day"), timezone="America/New_York")
    window = one.allowances[0].rhythm.containing(day + timedelta(hours=12))
    assert (window.start, window.end - window.start) == (day, timedelta(hours=hours))
    inside = [(day, D(6)), (window.end - timedelta(milliseconds=1), D(6))]
    assert one.billed([*inside, (window.end, D(6))], Period(day, day + timedelta(days=3))) == 2


def test_an_hour_that_occurs_twice_is_two_hours():
    one = sold(metered("1", "hour"), timezone="America/New_York")
    windows = one.allowances[0].rhythm.windows(at(2026, 11, 1, 5), at(2026, 11, 1, 8))
    assert [(w.start, w.end) for w in windows] == [
        (at(2026, 11, 1, hour), at(2026, 11, 1, hour + 1)) for hour in (5, 6, 7)
    ]


def test_where_clocks_move_by_half_an_hour_the_hour_is_cut_there():
    one = sold(metered("1", "hour"), timezone="Australia/Lord_Howe")
    windows = one.allowances[0].rhythm.windows(at(2026, 4, 4, 14), at(2026, 4, 4, 16))
    assert [(w.end - w.start) / timedelta(minutes=1) for w in windows] == [60, 30, 60]


# What is given, over time.


def test_a_subscription_that_starts_in_the_middle_of_a_window_has_all_of_its_limit():
    start = at(2026, 1, 15)
    one = sold(metered("100"), starts_at=start, alignment="calendar")
    events = [(at(2026, 1, 10), D(1000)), (at(2026, 1, 20), D(130))]
    part = Period(start, at(2026, 2, 1))
    assert list(asked(left(one.allowances, part))) == [part]
    assert one.billed(events, part) == D(30)


def test_what_addons_give_adds_to_the_plan_as_often_as_they_are_held():
    one = sold(metered("100")).holds(
        metered("50"), kind=OwnerKind.ADDON, quantity=3, starts_at=at(2026, 1, 11)
    )
    assert one.limits(JAN) == [("month", "100")]
    assert one.limits(at(2026, 1, 11)) == [("month", "250")]
    assert one.holds(metered(None), kind=OwnerKind.ADDON).limits(JAN) == [("month", None)]


def test_a_limit_that_rises_counts_against_all_that_the_window_used():
    one = sold(metered("100")).holds(metered("50"), kind=OwnerKind.ADDON, starts_at=at(2026, 1, 11))
    used = [(at(2026, 1, 5), D(120)), (at(2026, 1, 20), D(60))]
    # 20 beyond the limit before it rises; at 180 of 150 another 30 - 0 are beyond it after.
    assert one.billed(used, Period(JAN, at(2026, 1, 11))) == D(20)
    assert one.billed(used, Period(at(2026, 1, 11), at(2026, 2, 1))) == D(30)
    assert one.billed(used, months()[0]) == D(50)


def test_a_pack_that_is_never_reset_is_used_by_what_the_monthly_allowance_lets_pass():
    one = sold(metered("100")).holds(
        metered("250", "never"), kind=OwnerKind.ADDON, starts_at=at(2026, 2, 1)
    )
    assert one.limits(at(2026, 2, 1)) == [("month", "100"), ("never", "250")]
    used = [(at(2026, month, 10), D(200)) for month in range(1, 7)]
    bills = [one.billed(used, month) for month in months()[:6]]
    assert bills == [D(100), D(0), D(0), D(50), D(100), D(100)]


@pytest.mark.parametrize(
    ("overrides", "included"),
    [(Overrides.ALL, "7"), (Overrides.PLAN, "57"), (Overrides.NOTHING, "157")],
)
def test_an_override_takes_the_place_of_what_it_says_while_it_lasts(overrides, included):
    one = sold(metered("100")).holds(metered("50"), kind=OwnerKind.ADDON)
    one = one.overridden(metered("7"), overrides, start=at(2026, 3, 1), end=at(2026, 3, 15))
    before, last, after = at(2026, 2, 28), at(2026, 3, 14), at(2026, 3, 15)
    assert [one.limits(when) for when in (before, last, after)] == [
        [("month", "150")],
        [("month", included)],
        [("month", "150")],
    ]


def test_what_is_switched_off_includes_nothing():
    one = sold(metered("100")).overridden(metered("7"), enabled=False)
    assert one.limits(JAN) == []
    assert one.billed(daily(YEAR), months()[0]) == D(310)
    assert [each.entitlement.enabled for each in in_force(one.entitled.of(FEATURE), JAN)] == [False]


def test_another_rhythm_begins_with_the_instant_it_is_given():
    july = at(2026, 7, 1)
    one = Sold(row()).holds(metered("100"), ends_at=july)
    one = one.holds(metered("1000", "year"), starts_at=july)
    events = daily(YEAR)
    assert one.billed(events, Period(at(2026, 6, 1), july)) == D(200)
    # 1840 are used from July on, and none from before counts against the thousand.
    assert one.billed(events, Period(july, YEAR.end)) == D(840)


def test_a_sliding_window_bounds_access_and_covers_nothing_that_is_billed():
    one = sold(metered("100", "sliding", window="P30D"))
    assert one.billed(daily(YEAR), months()[0]) == D(310)


def test_several_subscriptions_include_the_sum_where_their_windows_are_the_same():
    one, other = sold(metered("100", "day")), sold(metered("20", "day"), id="sub_2")
    (both,) = allowances([one.entitled, other.entitled], FEATURE)
    assert both.at(JAN).limit == 120
    start = at(2026, 1, 15)
    apart = sold(metered("20"), id="sub_2", starts_at=start, anchor=start)
    first, second = allowances([sold(metered("100")).entitled, apart.entitled], FEATURE)
    assert (first.at(start).limit, second.at(start).limit) == (100, 20)


def test_different_values_are_counted_over_the_window_and_not_added():
    values = [(at(2026, month, 10), f"{value}") for month in (1, 2) for value in range(4)]
    values.append((at(2026, 2, 11), "new"))
    one = sold(metered("3", "year"))
    bills = [evaluate(left(one.allowances, month), unique(values)) for month in months()[:3]]
    assert bills == [D(1), D(1), D(0)]


# Laws.

LAW = settings(deadline=None, max_examples=60)

RESETS = ("day", "week", "month", "quarter", "billing_period", "never")
ZONES = ("UTC", "America/New_York", "Asia/Kolkata")
SPAN = Period(at(2026, 2, 20), at(2026, 4, 10))  # clocks change in New York
SHORT = Period(at(2026, 3, 7), at(2026, 3, 10))
MINUTES = int(SPAN.length / timedelta(minutes=1))

moments = st.integers(0, MINUTES - 1).map(lambda minute: SPAN.start + timedelta(minutes=minute))
amounts = st.decimals(0, 20, places=2)
events_ = st.lists(st.tuples(moments, amounts), max_size=25).map(sorted)
limits_ = st.none() | st.decimals(0, 60, places=1)
terms_ = st.builds(metered, limits_, st.sampled_from(RESETS))
holdings_ = st.lists(st.tuples(terms_, st.integers(1, 3), moments, st.none() | moments), max_size=3)
overrides_ = st.lists(
    st.tuples(terms_, st.sampled_from(Overrides), moments, st.none() | moments), max_size=1
)


@st.composite
def subscriptions(draw):
    """With a plan, and addons and an override that come and go."""
    alignment = draw(st.sampled_from(["anniversary", "calendar"]))
    one = sold(draw(terms_), timezone=draw(st.sampled_from(ZONES)), alignment=alignment)
    for terms, quantity, start, end in draw(holdings_):
        one = one.holds(
            terms, kind=OwnerKind.ADDON, quantity=quantity, starts_at=start, ends_at=end
        )
    for terms, overrides, start, end in draw(overrides_):
        one = one.overridden(terms, overrides, start=start, end=end)
    return one


def included_at(one, when):
    """The limits in force at an instant, by how they reset; summed from the rows themselves."""
    found = defaultdict(list)
    for each in in_force(one.entitled.of(FEATURE), when):
        terms = each.entitlement.terms
        found[terms.resets].append(None if terms.limit is None else terms.limit * each.quantity)
    return {
        resets: None if None in limits else sum(limits, D(0)) for resets, limits in found.items()
    }


def event_by_event(one, events):
    """What of each event is beyond the allowances, one event after another."""
    used = defaultdict(D)  # of each allowance, in a window
    for when, amount in events:
        passed = amount
        for allowance in one.allowances:
            limit, included = allowance.at(when), included_at(one, when)
            assert (limit is not None) == (allowance.rhythm.resets in included)
            if limit is None:
                continue
            assert limit.limit == included[allowance.rhythm.resets]
            key = (allowance.rhythm.key, allowance.window(limit, when).start)
            if limit.limit is None:
                beyond_it = D(0)
            else:
                beyond_it = passed - min(passed, max(D(0), limit.limit - used[key]))
            used[key] += passed
            passed = beyond_it
        yield when, passed


@LAW
@given(subscriptions(), events_, st.lists(moments, max_size=6))
def test_bills_equal_a_count_of_event_after_event_however_the_time_is_cut(one, events, cuts):
    beyond_each = list(event_by_event(one, events))
    edges = sorted({SPAN.start, *cuts, SPAN.end})
    for period in map(Period, edges, edges[1:]):
        expected = sum((q for when, q in beyond_each if period.contains(when)), D(0))
        assert one.billed(events, period) == expected
    whole = one.billed(events, SPAN)
    assert whole == sum(one.billed(events, Period(a, b)) for a, b in pairwise(edges))
    assert 0 <= whole <= sum(amount for _, amount in events)


@LAW
@given(
    st.lists(
        st.tuples(
            st.integers(0, 71 * 60).map(lambda m: SHORT.start + timedelta(minutes=m)), amounts
        ),
        max_size=30,
    ).map(sorted),
    st.decimals(0, 40, places=1),
    st.integers(1, 71),
)
def test_hours_are_billed_one_by_one_when_the_clocks_change(events, limit, cut):
    one = sold(metered(limit, "hour"), timezone="America/New_York")
    hours = defaultdict(D)
    for when, amount in events:
        hours[when.replace(minute=0)] += amount
    expected = sum((max(D(0), used - limit) for used in hours.values()), D(0))
    middle = SHORT.start + timedelta(hours=cut)
    parts = [Period(SHORT.start, middle), Period(middle, SHORT.end)]
    assert one.billed(events, SHORT) == expected == sum(one.billed(events, p) for p in parts)


@LAW
@given(subscriptions(), moments)
def test_windows_follow_one_another_and_hold_their_instants(one, when):
    for allowance in one.allowances:
        window = allowance.rhythm.containing(when)
        assert window.start <= when
        if window.end is not None:
            assert when < window.end
            following = allowance.rhythm.containing(window.end)
            assert following.start == window.end
            inside: datetime = window.end - timedelta(microseconds=1)
            assert allowance.rhythm.containing(inside).start == window.start
