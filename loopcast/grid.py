"""Where a problem's steps lie: instants are put on the grid of its calendar, counted along it, and continued.

Steps of up to an hour follow the absolute clock: a day on which clocks go back has twenty-five hours. Longer steps
follow the local calendar: a day is a local date, whatever its length. A step is labelled by its start, or by its end
where pandas labels the frequency so (W, ME, QE, YE).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from pandas.tseries.offsets import Day, Tick

from loopcast.config import Problem
from loopcast.typing import Bools, Ints

HOUR_US: Final = 3_600_000_000
"""Zones shift their clocks by whole hours, so that steps up to this long never meet a shift."""

LABELLED_BY_END: Final = frozenset({"W", "ME", "QE", "YE", "BME", "BQE", "BYE"})


@dataclass(frozen=True)
class Placement:
    """Instants on the grid of a problem; n instants.

    Attributes:
        steps_utc: Label of the step that each instant lies in, shape (n,).
        numbers: Count of that step, shape (n,); neighbouring steps differ by one, the origin means nothing.
        is_exact: Whether the instant is the label itself or, for steps of days and longer, its date, shape (n,).
    """

    steps_utc: pd.DatetimeIndex
    numbers: Ints
    is_exact: Bools


def place_on_grid(instants_utc: pd.DatetimeIndex, problem: Problem) -> Placement:
    """The step of each instant.

    Args:
        instants_utc: Shape (n,), microseconds, in any order.
    """
    if step_us := _clock_step_us(problem):
        local = _to_local(instants_utc, problem)
        since_start = pd.to_timedelta(_microseconds(local) % step_us, unit="us")
        if step_us <= HOUR_US:
            steps_utc = instants_utc - since_start
            numbers = _microseconds(steps_utc) // step_us
        else:
            steps_utc = _to_utc(local - since_start, problem)
            numbers = _microseconds(local) // step_us
        return Placement(steps_utc.as_unit("us"), numbers, since_start.to_numpy() == np.timedelta64(0))
    return _place_on_calendar(instants_utc, problem)


def steps_after(steps_utc: pd.DatetimeIndex, n_steps: int, problem: Problem) -> pd.DatetimeIndex:
    """Label of the step that comes `n_steps` after each of the given ones.

    Args:
        steps_utc: Labels as `place_on_grid` returns them, shape (n,).
    """
    step_us = _clock_step_us(problem)
    if step_us and step_us <= HOUR_US:
        return (steps_utc + n_steps * problem.offset).as_unit("us")
    local = _to_local(steps_utc, problem)
    if step_us is None:
        local = local.normalize()  # a day whose midnight no clock shows is labelled an hour late
    return _to_utc(local + n_steps * problem.offset, problem).as_unit("us")


def has_calendar_steps(problem: Problem) -> bool:
    """Whether steps are dates, of which the time of day says nothing."""
    return _clock_step_us(problem) is None


def _clock_step_us(problem: Problem) -> int | None:
    offset = problem.offset
    return offset.nanos // 1_000 if isinstance(offset, Tick) and not isinstance(offset, Day) else None


def _place_on_calendar(instants_utc: pd.DatetimeIndex, problem: Problem) -> Placement:
    dates, offset = _to_local(instants_utc, problem).normalize(), problem.offset
    if dates.empty:
        return Placement(instants_utc, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
    grid = pd.date_range(offset.rollback(dates.min()), offset.rollforward(dates.max()), freq=offset, unit="us")
    if offset.rule_code.partition("-")[0] in LABELLED_BY_END:
        numbers = grid.searchsorted(dates, side="left")
    else:
        numbers = grid.searchsorted(dates, side="right") - 1
    labels = grid[numbers]
    return Placement(_to_utc(labels, problem).as_unit("us"), numbers.astype(np.int64), np.asarray(labels == dates))


def _to_local(instants_utc: pd.DatetimeIndex, problem: Problem) -> pd.DatetimeIndex:
    return instants_utc.tz_convert(problem.time_zone).tz_localize(None)


def _to_utc(local: pd.DatetimeIndex, problem: Problem) -> pd.DatetimeIndex:
    """Instants of local labels: the first of two that a clock shows, the next one where it shows none."""
    is_first = np.ones(len(local), dtype=np.bool_)
    return local.tz_localize(problem.time_zone, ambiguous=is_first, nonexistent="shift_forward").tz_convert("UTC")


def _microseconds(times: pd.DatetimeIndex) -> Ints:
    return times.to_numpy(dtype="datetime64[us]").astype(np.int64)
