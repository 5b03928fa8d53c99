"""Which tested times of a large panel are scored: as many as memory holds, the same ones in every training."""

from dataclasses import replace
from typing import Final

import numpy as np

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design
from loopcast.grid import place_on_grid
from loopcast.model.forecaster import Candidate
from loopcast.model.split import Split
from loopcast.typing import Ints, Times

MAX_VALUES: Final = 2**26
"""Quantiles of all candidates at all origins that are held at once: half a gigabyte of eight bytes each."""
EPOCH: Final = np.datetime64(0, "us")


def thin_folds(folds: list[Split], design: Design, problem: Problem) -> list[Split]:
    """The folds with every 2nd, 4th, 8th … tested time, with all its series; folds without any are left out.

    Times are kept by their count from 1970 and not from the first row, and in powers of two: so trainings on other
    rows keep the same times, or every second of them, and their losses can be paired.

    Raises:
        DataRefusedError: There is no tested origin.
    """
    total = sum(len(fold.test) for fold in folds)
    if total == 0:
        raise DataRefusedError(
            f"{problem.name}: no series has {problem.backtest.min_history_steps} steps before a tested block; "
            f"widen the source, or lower backtest.min_history_steps"
        )
    every = 2 ** int(np.ceil(np.log2(max(total / count_allowed(problem), 1))))
    numbers = number_steps(design.timestamp_utc, problem)
    thinned = [replace(fold, test=fold.test[numbers[fold.test] % every == 0]) for fold in folds]
    return [fold for fold in thinned if len(fold.test)]


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
