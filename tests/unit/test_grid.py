"""Steps of every frequency: where they lie, how they are counted, and which comes next."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.grid import place_on_grid, steps_after
from tests.factories import make_problem

FREQUENCIES = ["s", "5min", "45min", "h", "2h", "6h", "D", "B", "W", "W-WED", "MS", "ME", "QS-FEB", "YE"]
ZONES = ["UTC", "Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"]


def utc(*times: str) -> pd.DatetimeIndex:
    """Instants in microseconds."""
    return pd.DatetimeIndex(times, tz="UTC").as_unit("us")


@pytest.mark.parametrize(
    ("frequency", "zone", "time", "step"),
    [
        ("h", "Asia/Kolkata", "2024-03-01T10:45Z", "2024-03-01T10:30Z"),
        ("6h", "Europe/Zurich", "2024-07-01T03:00Z", "2024-06-30T22:00Z"),
        ("D", "America/New_York", "2024-03-01T04:59Z", "2024-02-29T05:00Z"),
        ("B", "America/New_York", "2024-03-02T18:00Z", "2024-03-01T05:00Z"),
        ("W", "UTC", "2024-03-01T12:00Z", "2024-03-03T00:00Z"),
        ("W-MON", "UTC", "2024-03-01T12:00Z", "2024-03-04T00:00Z"),
        ("MS", "Europe/Zurich", "2024-03-31T22:30Z", "2024-03-31T22:00Z"),
        ("ME", "UTC", "2024-02-03T00:00Z", "2024-02-29T00:00Z"),
        ("D", "Asia/Beirut", "2024-03-31T12:00Z", "2024-03-30T22:00Z"),  # clocks skip this midnight
        ("D", "America/Havana", "2024-11-03T12:00Z", "2024-11-03T04:00Z"),  # and show this one twice
    ],
)
def test_a_step_is_labelled_in_the_local_calendar(frequency, zone, time, step):
    """By its start, or by its end for weeks and for frequencies that pandas labels by their end."""
    placement = place_on_grid(utc(time), make_problem(frequency=frequency, time_zone=zone))

    assert placement.steps_utc.equals(utc(step))


def test_hours_are_counted_through_the_nights_on_which_clocks_change():
    """An autumn night has one more of them and a spring night one less, and each has its own number."""
    hours = pd.date_range("2024-01-01", "2025-01-01", freq="h", tz="UTC", unit="us")

    placement = place_on_grid(hours, make_problem(frequency="h", time_zone="America/New_York"))

    assert placement.steps_utc.equals(hours)
    assert set(np.diff(placement.numbers)) == {1}


@pytest.mark.parametrize("frequency", ["2h", "6h", "12h"])
def test_longer_steps_follow_the_wall_clock(frequency):
    """A reading at noon stays on the grid in summer and in winter."""
    problem = make_problem(frequency=frequency, time_zone="Europe/Zurich")
    noon = pd.date_range("2024-01-01 12:00", "2024-12-31 12:00", freq="D", tz="Europe/Zurich", unit="us")

    placement = place_on_grid(noon.tz_convert("UTC"), problem)

    assert placement.is_exact.all()
    assert set(np.diff(placement.numbers)) == {pd.Timedelta("1D") // pd.Timedelta(frequency)}


def test_business_days_are_neighbours_across_the_weekend():
    """Monday's number follows Friday's."""
    placement = place_on_grid(utc("2024-03-01", "2024-03-04", "2024-03-05"), make_problem(frequency="B"))

    assert np.diff(placement.numbers).tolist() == [1, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(FREQUENCIES),
    st.sampled_from(ZONES),
    st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2030-01-01")),
)
def test_a_step_lies_on_itself_and_the_next_one_follows_it(frequency, zone, time):
    """Placing a label again changes nothing, and the step after it has the next number and a later time."""
    problem = make_problem(frequency=frequency, time_zone=zone)
    step = place_on_grid(utc(str(time)), problem).steps_utc

    later = step.append([steps_after(step, 1, problem), steps_after(step, 2, problem)])

    placement = place_on_grid(later, problem)
    assert placement.steps_utc.equals(later) or zone == "Australia/Lord_Howe"
    assert later.is_monotonic_increasing
    assert np.diff(placement.numbers).tolist() == [1, 1] or (frequency, zone) in SHIFTED_GRIDS


SHIFTED_GRIDS = {("45min", zone) for zone in ZONES} | {("h", "Australia/Lord_Howe")}
"""Here a change of the clocks moves the grid by a part of a step, and one step is shorter or longer."""
