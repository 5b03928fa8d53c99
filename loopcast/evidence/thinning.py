"""Which tested times and series of a large panel are scored: as many as memory holds, the same in every training."""

import zlib
from dataclasses import replace
from typing import Final

import numpy as np

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design
from loopcast.grid import place_on_grid
from loopcast.model.forecaster import Candidate
from loopcast.model.split import Split
from loopcast.typing import Bools, Ints, Times

MAX_VALUES: Final = 2**26
"""Quantiles of all candidates at all origins that are held at once: half a gigabyte of eight bytes each."""
DATES_FACTOR: Final = 2
"""Dates that are kept, in those that the gate needs: a challenger shares only a part of them with its champion."""
EPOCH: Final = np.datetime64(0, "us")


def thin_folds(folds: list[Split], design: Design, problem: Problem) -> list[Split]:
    """The folds with as many tested origins as memory holds; folds without any are left out.

    Every 2nd, 4th, 8th … time is taken with all its series, as long as dates enough remain for the gate; of a panel
    that is too large even then some series are taken. Times are kept by their count from 1970 and not from the first
    row, and in powers of two, series by their names: so trainings on other rows keep the same ones, or a part of them,
    and their losses can be paired.

    Raises:
        DataRefusedError: There is no tested origin.
    """
    tested = np.concatenate([fold.test for fold in folds])
    if not len(tested):
        raise DataRefusedError(
            f"{problem.name}: no series has {problem.backtest.min_history_steps} steps before a tested block; "
            f"widen the source, or lower backtest.min_history_steps"
        )
    numbers = number_steps(design.timestamp_utc, problem)
    is_kept = _choose_times(tested, numbers, problem)
    is_kept &= _choose_series(tested[is_kept[tested]], design, problem)[design.series]
    thinned = [replace(fold, test=fold.test[is_kept[fold.test]]) for fold in folds]
    return [fold for fold in thinned if len(fold.test)]


def _choose_times(tested: Ints, numbers: Ints, problem: Problem) -> Bools:
    """Whether each row's time is kept, shape (N,).

    Args:
        tested: Rows, shape (n,).
        numbers: Count of each row's step, shape (N,).
    """
    dates, every = np.unique(numbers[tested]), 1
    n_wanted = DATES_FACTOR * problem.gate.min_dates
    while (numbers[tested] % every == 0).sum() > count_allowed(problem) and (
        dates % (2 * every) == 0
    ).sum() >= n_wanted:
        every *= 2
    return np.asarray(numbers % every == 0)


def _choose_series(tested: Ints, design: Design, problem: Problem) -> Bools:
    """Whether each series is kept, by its code: those that `forecast_series` names before others, then by lot.

    Args:
        tested: Rows whose times are kept, shape (n,).
    """
    names = design.series_ids
    # By lot, because names often tell size or age; the lot of a name is the same in every training.
    order = sorted(range(len(names)), key=lambda code: (names[code] not in problem.forecast_series, _draw(names[code])))
    n_until = np.cumsum(np.bincount(design.series[tested], minlength=len(names))[order])
    is_kept = np.zeros(len(names), dtype=np.bool_)
    is_kept[order] = n_until <= max(count_allowed(problem), n_until[np.flatnonzero(n_until)[0]])
    return is_kept


def _draw(name: str) -> int:
    return zlib.crc32(name.encode(errors="surrogatepass"))


def count_allowed(problem: Problem) -> int:
    """How many origins can be scored: `backtest.max_origins`, or fewer where each has many quantiles."""
    values_per_origin = len(Candidate) * problem.horizon * len(problem.quantiles)
    return max(min(problem.backtest.max_origins, MAX_VALUES // values_per_origin), 1)


def number_steps(times_utc: Times, problem: Problem) -> Ints:
    """The count of each time's step from that of 1970, shape (n,).

    Args:
        times_utc: Labels of steps, shape (n,).
    """
    numbers = place_on_grid(np.append(EPOCH, times_utc), problem).numbers
    return np.asarray(numbers[1:] - numbers[0])
