"""Positions of target steps in the calendar, beside what pandas says of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.calendars import CALENDAR_SIZES, calendar_patterns, locate
from loopcast.grid import place_on_grid, steps_after
from tests.factories import make_problem

TIMES = st.datetimes(pd.Timestamp("1960-01-01"), pd.Timestamp("2100-01-01"))


@given(TIMES)
def test_positions_are_those_of_pandas(moment):
    """Before 1970 as after it."""
    time = pd.Timestamp(moment)
    local = np.array([time], dtype="datetime64[us]")

    found = {name: int(locate(local, name)[0]) for name in CALENDAR_SIZES}

    assert found == {
        "hour": time.hour,
        "day_of_week": time.dayofweek,
        "month": time.month - 1,
        "week_of_quarter": min((time - time.to_period("Q").start_time).days // 7, 12),
    }


@settings(deadline=None, max_examples=40)
@given(
    TIMES,
    st.sampled_from(["15min", "h", "6h", "D", "B", "MS"]),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
    st.lists(st.sampled_from(list(CALENDAR_SIZES)), max_size=4, unique=True),
)
def test_shares_equal_counts_by_hand(moment, frequency, zone, calendars):
    """The pattern of a step counts where the steps up to each horizon lie, in local time."""
    problem = make_problem(
        frequency=frequency, time_zone=zone, horizon=3, quality={"min_rows": 9}, features={"calendar": calendars}
    )
    start = place_on_grid(np.array([moment], dtype="datetime64[us]"), problem).steps_utc
    steps = steps_after(start, np.arange(40), problem)

    pattern, patterns = calendar_patterns(steps, problem)

    starts = dict(zip(calendars, np.cumsum([0, *(CALENDAR_SIZES[name] for name in calendars)]), strict=False))
    for row in (0, 17, 39):
        count = np.zeros((3, sum(CALENDAR_SIZES[name] for name in calendars)))
        for h in range(3):
            ahead = pd.DatetimeIndex(steps_after(steps[[row]], h + 1, problem), tz="UTC").tz_convert(zone)
            for name in calendars:
                local = ahead.tz_localize(None).to_numpy(dtype="datetime64[us]")
                count[h:, starts[name] + locate(local, name)[0]] += 1
        np.testing.assert_allclose(patterns[pattern[row]], count / np.array([[1], [2], [3]]), rtol=1e-6)


def test_steps_share_their_patterns():
    """A year of business days has five patterns, one for each weekday."""
    problem = make_problem(frequency="B", features={"calendar": ["day_of_week"]})
    steps = pd.bdate_range("2024-01-01", periods=260).to_numpy(dtype="datetime64[us]")

    pattern, patterns = calendar_patterns(steps, problem)

    assert patterns.shape == (5, 1, 7)
    assert np.bincount(pattern).tolist() == [52] * 5


@pytest.mark.parametrize("n_steps", [0, 3])
def test_without_a_calendar_there_is_one_empty_pattern(n_steps):
    """A problem need not have one."""
    pattern, patterns = calendar_patterns(np.zeros(n_steps, dtype="datetime64[us]"), make_problem())

    assert pattern.tolist() == [0] * n_steps
    assert patterns.shape == (1, 1, 0)
