"""Where a problem's steps lie: instants are put on the grid of its calendar, counted along it, and continued.

Steps of up to an hour follow the absolute clock: a day on which clocks go back has twenty-five hours. Longer steps
follow the local calendar: a day is a local date, whatever its length. A step is labelled by its start, or by its end
where pandas labels the frequency so (W, ME, QE, YE).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import Day, Tick

from loopcast.config import Problem
from loopcast.typing import Bools, Ints, Times

HOUR_US: Final = 3_600_000_000
"""Zones shift their clocks by whole hours, so that steps up to this long never meet a shift."""

LABELLED_BY_END: Final = frozenset({"W", "ME", "QE", "YE", "BME", "BQE", "BYE"})

YEARS_AT_ONCE: Final = 32
"""Calendars are laid out for blocks of years, once each: 8,000 business days take a tenth of a second and 130 KB."""


@dataclass(frozen=True)
class Placement:
    """Instants on the grid of a problem; n instants.

    Attributes:
        steps_utc: Label of the step that each instant lies in, shape (n,).
        numbers: Count of that step, shape (n,); neighbouring steps differ by one, the origin means nothing.
        is_exact: Whether the instant is the label itself or, for steps of days and longer, its date, shape (n,).
    """

    steps_utc: Times
    numbers: Ints
    is_exact: Bools


@dataclass(frozen=True)
class _Ladder:
    """All steps of a calendar in some years, ascending; the labels in local time, and as instants."""

    local: Times
    utc: Times


def place_on_grid(instants_utc: Times, problem: Problem) -> Placement:
    """The step of each instant.

    Args:
        instants_utc: Shape (n,), microseconds, in any order.
    """
    step_us = _clock_step_us(problem.frequency)
    if step_us and step_us <= HOUR_US:
        since_start = to_local(instants_utc, problem).astype(np.int64) % step_us
        steps_utc = instants_utc - since_start.astype("timedelta64[us]")
        return Placement(steps_utc, steps_utc.astype(np.int64) // step_us, since_start == 0)
    ladder = _ladder_around(instants_utc, 0, problem)
    numbers = _find_labels(ladder, instants_utc)
    is_label = ladder.utc[numbers] == instants_utc
    if is_label.all():
        return Placement(instants_utc, numbers, is_label)
    local = to_local(instants_utc, problem)
    if step_us is None:
        local = local.astype("datetime64[D]").astype("datetime64[us]")
    if _is_labelled_by_end(problem.frequency):
        numbers = np.searchsorted(ladder.local, local, side="left")
    else:
        numbers = np.searchsorted(ladder.local, local, side="right") - 1
    return Placement(ladder.utc[numbers], numbers, is_label | (ladder.local[numbers] == local))


def steps_after(steps_utc: Times, n_steps: int | Ints, problem: Problem) -> Times:
    """Label of the step that comes `n_steps` after each of the given ones.

    Args:
        steps_utc: Labels as `place_on_grid` returns them.
        n_steps: From 0 upwards, of a shape that `steps_utc` broadcasts with.

    Returns:
        Of the shape to which both broadcast.
    """
    step_us = _clock_step_us(problem.frequency)
    if step_us and step_us <= HOUR_US:
        return np.asarray(steps_utc + np.asarray(n_steps * np.int64(step_us), dtype="timedelta64[us]"))
    ladder = _ladder_around(steps_utc, int(np.max(n_steps, initial=0)), problem)
    return np.asarray(ladder.utc[_find_labels(ladder, steps_utc) + n_steps])


def clocks_after(steps_utc: Times, n_steps: int | Ints, problem: Problem) -> Times:
    """What the clocks of the problem's zone show at each label that `steps_after` gives."""
    step_us = _clock_step_us(problem.frequency)
    if step_us and step_us <= HOUR_US:
        return to_local(steps_after(steps_utc, n_steps, problem), problem)
    ladder = _ladder_around(steps_utc, int(np.max(n_steps, initial=0)), problem)
    return np.asarray(ladder.local[_find_labels(ladder, steps_utc) + n_steps])


def to_local(instants_utc: Times, problem: Problem) -> Times:
    """What the clocks of the problem's zone show at each instant, shape as given."""
    if problem.time_zone == "UTC":
        return instants_utc
    clocks = pd.DatetimeIndex(instants_utc.ravel()).tz_localize("UTC").tz_convert(problem.time_zone).tz_localize(None)
    return clocks.to_numpy(dtype="datetime64[us]").reshape(instants_utc.shape)


def has_calendar_steps(problem: Problem) -> bool:
    """Whether steps are dates, of which the time of day says nothing."""
    return _clock_step_us(problem.frequency) is None


@lru_cache
def _clock_step_us(frequency: str) -> int | None:
    """Length of a step that does not depend on the calendar; None for days and longer ones."""
    offset = to_offset(frequency)
    return offset.nanos // 1_000 if isinstance(offset, Tick) and not isinstance(offset, Day) else None


@lru_cache
def _is_labelled_by_end(frequency: str) -> bool:
    return to_offset(frequency).rule_code.partition("-")[0] in LABELLED_BY_END


def _find_labels(ladder: _Ladder, steps_utc: Times) -> Ints:
    """Places of labels in the ladder."""
    # By instant, because a step whose start no clock shows is labelled an hour late.
    return np.asarray(np.searchsorted(ladder.utc, steps_utc, side="right") - 1)


def _ladder_around(instants_utc: Times, n_steps: int, problem: Problem) -> _Ladder:
    """A ladder that holds the step of each instant and as many steps after it."""
    if not instants_utc.size:
        return _lay_ladder(problem.frequency, problem.time_zone, 0, 0)
    last = instants_utc.max() + np.timedelta64(_reach_days(problem.frequency, n_steps), "D")
    first_block, last_block = (
        int(end.astype("datetime64[Y]").astype(np.int64)) // YEARS_AT_ONCE for end in (instants_utc.min(), last)
    )
    return _lay_ladder(problem.frequency, problem.time_zone, first_block, last_block)


@lru_cache
def _reach_days(frequency: str, n_steps: int) -> int:
    """Days that as many steps take, to within a month."""
    start = pd.Timestamp(2000, 1, 1)
    return (start + n_steps * to_offset(frequency) - start).days


@lru_cache(maxsize=16)
def _lay_ladder(frequency: str, time_zone: str, first_block: int, last_block: int) -> _Ladder:
    """The ladder of some blocks of years, counted from 1970, with a year before and after them."""
    start, end = (np.datetime64(YEARS_AT_ONCE * block, "Y") for block in (first_block, last_block + 1))
    local = pd.date_range(start - 1, end + 1, freq=frequency, unit="us")
    is_first = np.ones(len(local), dtype=np.bool_)  # of two instants at which clocks show the same
    utc = local.tz_localize(time_zone, ambiguous=is_first, nonexistent="shift_forward").tz_convert("UTC")
    ladder = _Ladder(*(each.tz_localize(None).to_numpy(dtype="datetime64[us]") for each in (local, utc)))
    for labels in (ladder.local, ladder.utc):
        labels.flags.writeable = False
    return ladder
