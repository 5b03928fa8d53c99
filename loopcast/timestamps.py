"""How a column of the source becomes instants: text, dates, local times, times with an offset, seconds since 1970.

A time without an offset is local time in the problem's zone. What could be read in two ways is refused, not guessed.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.grid import has_calendar_steps
from loopcast.refusals import Findings, Reason
from loopcast.sections.data import EPOCH_UNITS
from loopcast.typing import Bools, Ints

FIRST_YEAR, LAST_YEAR = 1700, 2200
"""Years beyond these are marks such as 0001-01-01 and 9999-12-31, which systems write where they know no date."""

WORDS_OF_PANDAS: Final = ("now", "today")
"""Words that pandas takes for the present."""


def read_timestamps(values: "pd.Series[Any]", series: Ints, problem: Problem) -> tuple[pd.DatetimeIndex, Findings]:
    """Instants of the readings in UTC and microseconds, and why a reading has none.

    Args:
        values: The source's column, shape (n,), in source order.
        series: Code of each row's series, shape (n,).

    Returns:
        Instants, shape (n,), NaT where there is none; masks of shape (n,) for the reasons that NaT alone does not tell.
    """
    clock, is_absolute = _read_clock(values, problem.columns.timestamp_format)
    is_absolute &= np.asarray(clock.notna())
    lacks_offset = ~is_absolute & np.asarray(clock.notna()) & is_absolute.any()
    local = pd.DatetimeIndex(clock.where(~is_absolute & ~lacks_offset))
    is_second, is_unclear = _tell_repeated_hour(local, series, problem)
    if has_calendar_steps(problem):  # only the date counts, which a repeated or skipped hour does not change
        instants = local.tz_localize(problem.time_zone, ambiguous=~is_second, nonexistent="shift_forward")
        findings = {Reason.MISSING_UTC_OFFSET: lacks_offset}
    else:
        local = pd.DatetimeIndex(local.where(~is_unclear))
        instants = local.tz_localize(problem.time_zone, ambiguous=~is_second, nonexistent="NaT")
        findings = {
            Reason.MISSING_UTC_OFFSET: lacks_offset,
            Reason.NONEXISTENT_LOCAL_TIME: np.asarray(instants.isna()) & np.asarray(local.notna()),
            Reason.AMBIGUOUS_LOCAL_TIME: is_unclear,
        }
    utc = instants.tz_convert("UTC").where(~is_absolute, clock.tz_localize("UTC"))
    return pd.DatetimeIndex(utc).as_unit("us"), findings


def _read_clock(values: "pd.Series[Any]", pattern: str | None) -> tuple[pd.DatetimeIndex, Bools]:
    """What each cell shows, NaT where no time: UTC where the mask is true, else the clock of an unsaid zone."""
    is_absolute = np.zeros(len(values), dtype=np.bool_)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        clock, is_absolute = pd.DatetimeIndex(values).tz_convert("UTC"), ~is_absolute
    elif pd.api.types.is_datetime64_dtype(values):
        clock = pd.DatetimeIndex(values).tz_localize("UTC")
    elif pattern in EPOCH_UNITS:
        numbers = pd.to_numeric(values, errors="coerce")
        clock = pd.DatetimeIndex(pd.to_datetime(numbers, unit=EPOCH_UNITS[pattern], errors="coerce", utc=True))
        is_absolute = ~is_absolute
    else:
        text = values.astype("string[pyarrow]").str.strip().str.replace(" UTC", "Z", regex=False)
        text = text.mask(text.isin(WORDS_OF_PANDAS))
        clock = pd.DatetimeIndex(pd.to_datetime(text, format=pattern or "ISO8601", errors="coerce", utc=True))
        if pattern is None:  # a date takes ten characters; behind them only an offset has a sign
            is_absolute = text.str.slice(10).str.contains(r"[zZ+-]", na=False).to_numpy(dtype=np.bool_)
        elif "%z" in pattern:
            is_absolute = ~is_absolute
    clock = clock.tz_localize(None)
    return pd.DatetimeIndex(clock.where((clock.year >= FIRST_YEAR) & (clock.year <= LAST_YEAR))), is_absolute


def _tell_repeated_hour(local: pd.DatetimeIndex, series: Ints, problem: Problem) -> tuple[Bools, Bools]:
    """Which local times belong to the second of the hours that a clock shows twice, and of which that is not clear.

    It is clear where a series, in source order, goes forward through such a day, and through its repeated times exactly
    twice: newest first, or in no order, nothing tells the hours apart.
    """
    is_first = np.ones(len(local), dtype=np.bool_)
    earlier = local.tz_localize(problem.time_zone, ambiguous=is_first, nonexistent="NaT")
    later = local.tz_localize(problem.time_zone, ambiguous=~is_first, nonexistent="NaT")
    is_repeated = np.asarray((earlier != later) & earlier.notna())
    dates = local.normalize()
    is_near = np.asarray(dates.isin(dates[is_repeated]))
    days = [pd.Series(series[is_near]), pd.Series(dates[is_near])]
    steps = pd.Series(local[is_near]).groupby(days).diff()
    repeated = pd.Series(is_repeated[is_near])
    is_among = repeated & repeated.groupby(days).shift(fill_value=False)
    turns = (is_among & (steps <= pd.Timedelta(0))).groupby(days)
    strays = (~is_among & (steps < pd.Timedelta(0))).groupby(days)
    is_second, is_unclear = np.zeros_like(is_first), np.zeros_like(is_first)
    is_second[is_near] = repeated & (turns.cumsum() == 1)
    is_unclear[is_near] = repeated & ((turns.transform("sum") != 1) | strays.transform("any"))
    return is_second, is_unclear
