from datetime import UTC, datetime, timedelta

import pytest

from app.kernel.period import Period

JAN, FEB, MAR = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))


def test_the_end_is_outside():
    period = Period(JAN, FEB)
    assert period.contains(JAN)
    assert not period.contains(FEB)
    assert period.length == timedelta(days=31)


def test_an_intersection_that_is_nothing_is_none():
    assert Period(JAN, FEB).intersection(Period(FEB, MAR)) is None
    assert Period(JAN, MAR).intersection(Period(FEB, MAR)) == Period(FEB, MAR)


@pytest.mark.parametrize(("start", "end"), [(FEB, JAN), (JAN.replace(tzinfo=None), FEB)])
def test_a_period_runs_forward_between_aware_instants(start, end):
    with pytest.raises((ValueError, TypeError)):
        Period(start, end)
