"""Timestamps that are sent: instants, or dates in the problem's zone; never what could be read in two ways."""

import pytest

from app.histories import read_timestamps
from loopcast.errors import DataRefusedError
from tests.factories import make_problem


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-15", "2024-01-15T05:00:00"),
        ("2024-07-15", "2024-07-15T04:00:00"),
        ("2024-07-15T16:00:00", "2024-07-15T20:00:00"),
        ("2024-07-15T20:00:00Z", "2024-07-15T20:00:00"),
        ("2024-07-15T20:00:00.25+02:00", "2024-07-15T18:00:00.250000"),
    ],
)
def test_days_are_read_in_the_problems_zone(text, instant):
    """A time with an offset is what it says; a date is that day in New York, in summer and winter."""
    problem = make_problem(frequency="B", time_zone="America/New_York")

    [found] = read_timestamps([text], problem)

    assert str(found).startswith(instant)


@pytest.mark.parametrize("text", ["2024-07-15", "2024-07-15T16:00:00"])
def test_hours_need_their_offset(text):
    """A clock shows one hour of the year twice."""
    problem = make_problem(frequency="h", time_zone="America/New_York")

    with pytest.raises(DataRefusedError, match="needs its offset from UTC"):
        read_timestamps([text], problem)


@pytest.mark.parametrize("text", ["15.07.2024", "now, today", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_what_is_no_time_is_refused(text):
    """By its text."""
    with pytest.raises(DataRefusedError, match=f"found timestamp `{text[:4]}"):
        read_timestamps([text], make_problem())


def test_the_future_is_refused():
    """No step after tomorrow has been observed."""
    with pytest.raises(DataRefusedError, match="needs one that has come"):
        read_timestamps(["2024-01-01", "2124-01-01"], make_problem())
