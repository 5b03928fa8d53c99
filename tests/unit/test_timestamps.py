"""Times in every form that sources have them: what becomes an instant, and what could be two."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from loopcast.panel import build_panel
from loopcast.timestamps import read_timestamps
from tests.factories import make_problem


def read(times: object, *, zone: str = "UTC", frequency: str = "min", pattern: str | None = None, series: object = 0):
    """Instants and the first finding of each time, as texts."""
    problem = make_problem(time_zone=zone, frequency=frequency, columns={"timestamp_format": pattern})
    values = times if isinstance(times, pd.Series) else pd.Series(times, dtype=object)
    instants, findings = read_timestamps(values, np.broadcast_to(series, len(values)), problem)
    texts = instants.strftime("%Y-%m-%dT%H:%M:%SZ")
    found = [next((r for r, mask in findings.items() if mask[k]), None) for k in range(len(values))]
    return [text if pd.notna(text) else reason for text, reason in zip(texts, found, strict=True)]


@pytest.mark.parametrize(
    "time",
    [
        "2024-03-01T05:00Z",
        "2024-03-01 05:00:00 UTC",
        "2024-03-01T06:00:00+01:00",
        "2024-03-01 06:00+01",
        " 2024-03-01T00:00:00.000-0500 ",
        "2024-03-01",
        "2024-03-01 00:00:00",
        "20240301",
        "2024-03",
        date(2024, 3, 1),
        datetime(2024, 3, 1),  # noqa: DTZ001  # a local time is what is tested
        datetime(2024, 3, 1, 5, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=timezone(timedelta(hours=-5))),
        pd.Timestamp("2024-03-01"),
        20240301,
    ],
)
def test_a_time_without_an_offset_is_local_and_one_with_an_offset_is_not(time):
    """Text, dates and times of Python all give the midnight of New York that they mean."""
    assert read([time], zone="America/New_York") == ["2024-03-01T05:00:00Z"]


@pytest.mark.parametrize(
    "time",
    [None, "", "soon", "now", "today", "01/02/2024", "2024-13-01", "2024-02-30", "9999-12-31", "0001-01-01", 5.5,
     1709251200, "1709251200", np.nan, pd.NaT, date(9999, 12, 31), [2024]],
)  # fmt: skip
def test_what_is_no_time_or_could_be_two_is_none(time):
    """Day and month are not guessed, and words, sentinels and bare numbers are no times."""
    assert read([time, "2024-03-01"]) == [None, "2024-03-01T00:00:00Z"]


@pytest.mark.parametrize(
    ("pattern", "times"),
    [
        ("%d/%m/%Y", ["01/03/2024", "13/03/2024"]),
        ("%m/%d/%y %I:%M %p", ["03/01/24 12:00 AM", "03/13/24 12:00 AM"]),
        ("%Y-%m-%d %H:%M %z", ["2024-03-01 01:00 +0100", "2024-03-12 19:00 -0500"]),
        ("epoch_s", [1709251200, "1710288000"]),
        ("epoch_ms", [1709251200000.0, "1710288000000"]),
    ],
)
def test_other_forms_are_read_by_their_pattern(pattern, times):
    """What the pattern does not fit is no time."""
    found = read([*times, "2024-03-01"], pattern=pattern)

    assert found == ["2024-03-01T00:00:00Z", "2024-03-13T00:00:00Z", None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(("zone", "hour"), [(None, 5), ("UTC", 0), ("Asia/Tokyo", 15)])
def test_typed_columns_are_read_as_they_are(unit, zone, hour):
    """Parquet and databases know their times; those without a zone are local."""
    times = pd.Series(pd.DatetimeIndex(["2024-03-01"], tz=zone).as_unit(unit))

    day = "2024-02-29" if zone == "Asia/Tokyo" else "2024-03-01"
    assert read(times, zone="America/New_York") == [f"{day}T{hour:02}:00:00Z"]


def test_a_typed_sentinel_is_no_time():
    """A year that nanoseconds cannot hold must not stop the others."""
    times = pd.Series(np.array(["9999-12-31", "0001-01-01", "2024-03-01"], dtype="datetime64[us]"))

    assert read(times) == [None, None, "2024-03-01T00:00:00Z"]


def test_among_times_with_an_offset_one_without_is_refused():
    """It may be local or not; nothing in the column tells."""
    found = read(["2024-03-01T00:00Z", "2024-03-01 00:01", "2024-03-01T01:02+01:00"], zone="Europe/Zurich")

    assert found == ["2024-03-01T00:00:00Z", "missing_utc_offset", "2024-03-01T00:02:00Z"]


def test_a_local_time_that_no_clock_showed_is_refused():
    """In spring the clocks of Zurich go from two to three."""
    found = read(["2024-03-31 01:59", "2024-03-31 02:30", "2024-03-31 03:00"], zone="Europe/Zurich")

    assert found == ["2024-03-31T00:59:00Z", "nonexistent_local_time", "2024-03-31T01:00:00Z"]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"],
            ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"],
        ),
        (["01:00", "02:00", "02:00", "03:00"], ["23:00", "00:00", "01:00", "02:00"]),
        (["02:59", "02:04"], ["00:59", "01:04"]),
    ],
)
def test_the_repeated_hour_is_told_by_the_order_of_rows(times, expected):
    """In autumn the clocks of Zurich go from three back to two; a series that goes through that hour twice shows it."""
    found = read([f"2024-10-27 {time}" for time in times], zone="Europe/Zurich")

    assert [time[11:16] for time in found] == expected


@pytest.mark.parametrize(
    "times",
    [
        ["02:10"],
        ["02:00", "02:30"],
        ["02:00", "02:00", "02:00"],
        ["03:00", "02:00", "02:00", "01:00"],
        ["01:00", "02:00", "05:00", "02:00", "03:00"],
        ["01:00", "03:00", "02:00", "04:00"],
    ],
    ids=["once", "forward", "three times", "newest first", "no order", "once, late"],
)
def test_a_repeated_hour_that_is_not_clear_is_refused(times):
    """Once could be the first or the second, three times says nothing, and rows out of order tell no hours apart."""
    found = read([f"2024-10-27 {time}" for time in times], zone="Europe/Zurich")

    is_repeated = [time.startswith("02") for time in times]
    assert [reason == "ambiguous_local_time" for reason in found] == is_repeated


def test_each_series_tells_its_own_repeated_hour():
    """Rows of another series in between do not make an order."""
    times = [f"2024-10-27 {time}" for time in ("02:00", "02:00", "02:00", "02:30")]

    found = read(times, zone="Europe/Zurich", series=[0, 1, 0, 1])

    assert found == ["2024-10-27T00:00:00Z", "ambiguous_local_time", "2024-10-27T01:00:00Z", "ambiguous_local_time"]


def test_days_do_not_care_for_hours_that_clocks_skip_or_repeat():
    """Of a daily reading at half past two only the date counts."""
    raw = pd.DataFrame({"shop": "north", "day": [f"2024-{day} 02:30" for day in ("03-30", "03-31", "10-26", "10-27")]})
    problem = make_problem(time_zone="Europe/Zurich", quality={"bridge_steps": 400})

    panel = build_panel(raw.assign(sales=1.0), problem).panel

    local = panel["timestamp_utc"].dt.tz_convert("Europe/Zurich").dt.strftime("%m-%d %H:%M")
    assert local.tolist() == ["03-30 00:00", "03-31 00:00", "10-26 00:00", "10-27 00:00"]
