"""Steps of every frequency: where they lie, how they are counted, and which comes next."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.grid import clocks_after, place_on_grid, steps_after
from tests.factories import make_problem

FREQUENCIES = ["s", "5min", "45min", "h", "2h", "6h", "D", "B", "W", "W-WED", "MS", "ME", "QS-FEB", "YE"]
ZONES = ["UTC", "Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"]


def utc(*times: str) -> np.ndarray:
    """Instants in microseconds."""
    return instants(pd.DatetimeIndex(times, tz="UTC"))


def instants(times: pd.DatetimeIndex) -> np.ndarray:
    """The same, of times in any zone."""
    return times.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]")


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

    assert placement.steps_utc.tolist() == utc(step).tolist()


def test_hours_are_counted_through_the_nights_on_which_clocks_change():
    """An autumn night has one more of them and a spring night one less, and each has its own number."""
    hours = instants(pd.date_range("2024-01-01", "2025-01-01", freq="h", tz="UTC"))

    placement = place_on_grid(hours, make_problem(frequency="h", time_zone="America/New_York"))

    assert np.array_equal(placement.steps_utc, hours)
    assert set(np.diff(placement.numbers)) == {1}


@pytest.mark.parametrize("frequency", ["2h", "6h", "12h"])
def test_longer_steps_follow_the_wall_clock(frequency):
    """A reading at noon stays on the grid in summer and in winter."""
    problem = make_problem(frequency=frequency, time_zone="Europe/Zurich")
    noon = pd.date_range("2024-01-01 12:00", "2024-12-31 12:00", freq="D", tz="Europe/Zurich")

    placement = place_on_grid(instants(noon), problem)

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

    later = steps_after(step, np.arange(3), problem)

    placement = place_on_grid(later, problem)
    assert np.array_equal(placement.steps_utc, later) or zone == "Australia/Lord_Howe"
    assert (np.diff(later) > np.timedelta64(0)).all()
    assert np.diff(placement.numbers).tolist() == [1, 1] or (frequency, zone) in SHIFTED_GRIDS


SHIFTED_GRIDS = {("45min", zone) for zone in ZONES} | {("h", "Australia/Lord_Howe")}
"""Here a change of the clocks moves the grid by a part of a step, and one step is shorter or longer."""


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([each for each in FREQUENCIES if each not in {"2h", "6h"}]),
    st.sampled_from([zone for zone in ZONES if zone != "Australia/Lord_Howe"]),
    st.datetimes(pd.Timestamp("1905-01-01"), pd.Timestamp("2140-01-01")),
    st.integers(0, 366),
)
def test_steps_follow_each_other_as_pandas_counts_them(frequency, zone, time, n_steps):
    """Many steps ahead, and across the blocks of years in which calendars are laid out."""
    problem = make_problem(frequency=frequency, time_zone=zone)
    step = place_on_grid(utc(str(time)), problem).steps_utc

    later = steps_after(step, n_steps, problem)

    start = pd.DatetimeIndex(step, tz="UTC")
    if problem.offset.rule_code in {"s", "min", "h"}:
        expected = start + n_steps * problem.offset
    else:
        local = start.tz_convert(zone).tz_localize(None).normalize() + n_steps * problem.offset
        expected = local.tz_localize(zone, ambiguous=np.array([True]), nonexistent="shift_forward")
    assert later.tolist() == instants(expected).tolist()
    shown = pd.DatetimeIndex(later, tz="UTC").tz_convert(zone).tz_localize(None)
    assert clocks_after(step, n_steps, problem).astype("M8[D]").tolist() == shown.to_numpy().astype("M8[D]").tolist()


def test_a_step_whose_start_no_clock_shows_is_followed_by_the_next_one():
    """On the night to summer time the step from two o'clock is labelled three, and the next is at four."""
    problem = make_problem(frequency="2h", time_zone="Europe/Zurich")

    steps = steps_after(utc("2024-03-30T23:00"), np.arange(4), problem)

    assert (
        steps.tolist() == utc("2024-03-30T23:00", "2024-03-31T01:00", "2024-03-31T02:00", "2024-03-31T04:00").tolist()
    )
    assert place_on_grid(steps, problem).is_exact.all()


def test_a_grid_without_instants_is_empty():
    """No rows are no error."""
    for frequency in FREQUENCIES:
        placement = place_on_grid(np.zeros(0, dtype="datetime64[us]"), make_problem(frequency=frequency))

        assert len(placement.steps_utc) == len(placement.numbers) == len(placement.is_exact) == 0
