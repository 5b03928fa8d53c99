"""Where the steps that are forecast lie in the day, the week, the year and the quarter: known before they come."""

from typing import Final

import numpy as np

from loopcast.config import Problem
from loopcast.grid import clocks_after
from loopcast.sections.data import Calendar
from loopcast.typing import Floats32, Ints, Times

CALENDAR_SIZES: Final[dict[Calendar, int]] = {"hour": 24, "day_of_week": 7, "month": 12, "week_of_quarter": 13}
"""How many positions each calendar has."""

FIRST_WEEKDAY: Final = 3
"""1970 began on a Thursday, the fourth day of a week."""


def calendar_patterns(steps_utc: Times, problem: Problem) -> tuple[Ints, Floats32]:
    """Each step's pattern, shape (n,), and the few patterns that steps share, shape (patterns, H, C).

    A pattern is the share of each calendar position in the steps from the next one up to each horizon.

    Args:
        steps_utc: Labels, shape (n,).
    """
    calendars, horizon = problem.features.calendar, problem.horizon
    starts = np.cumsum([0, *(CALENDAR_SIZES[name] for name in calendars)])
    if not calendars:
        return np.zeros(len(steps_utc), dtype=np.int64), np.zeros((1, horizon, 0), dtype=np.float32)
    ahead = clocks_after(steps_utc[:, None], np.arange(1, horizon + 1), problem)
    positions = np.stack([start + locate(ahead, name) for start, name in zip(starts, calendars, strict=False)], axis=2)
    # Rows of small numbers are compared as text, several times as fast as column by column.
    text = positions.astype(np.uint8).reshape(len(steps_utc), -1).view(f"S{horizon * len(calendars)}").ravel()
    kinds, pattern = np.unique(text, return_inverse=True)
    places = kinds.view(np.uint8).reshape(len(kinds), horizon, len(calendars)).astype(np.int64)
    shares = np.zeros((len(kinds), horizon, starts[-1]), dtype=np.float32)
    np.put_along_axis(shares, places, 1.0, axis=2)
    shares = shares.cumsum(axis=1) / np.arange(1, horizon + 1, dtype=np.float32)[:, None]
    return pattern.astype(np.int64), shares.astype(np.float32)


def locate(local: Times, name: Calendar) -> Ints:
    """Position of each local time in a calendar, from 0, shape as given.

    >>> locate(np.array(["2024-05-08T13:30"], dtype="datetime64[us]"), "week_of_quarter")
    array([5])
    """
    days = local.astype("datetime64[D]")
    months = local.astype("datetime64[M]").astype(np.int64)
    if name == "hour":
        return np.asarray((local - days).astype("timedelta64[h]"), dtype=np.int64)
    if name == "day_of_week":
        return (days.astype(np.int64) + FIRST_WEEKDAY) % 7
    if name == "month":
        return months % 12
    start = (months - months % 3).astype("datetime64[M]").astype("datetime64[D]")
    weeks: Ints = (days - start).astype(np.int64) // 7
    return np.minimum(weeks, CALENDAR_SIZES[name] - 1)
