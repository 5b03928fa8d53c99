"""Which origins train, which validate, which are tested; no target reaches into the block behind its own."""

from dataclasses import dataclass

import numpy as np

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design
from loopcast.typing import Ints, Times


@dataclass(frozen=True)
class Split:
    """Rows of a design, each ascending: origins to fit on, to stop and calibrate on, and to test on.

    Attributes:
        train: Origins whose targets all end before the validation block begins.
        validation: Origins of the validation block whose targets all end before the test block begins.
        test: Origins of the test block; empty for the model that goes into service.
    """

    train: Ints
    validation: Ints
    test: Ints

    @property
    def fit(self) -> Ints:
        """Origins of both blocks before the test, for models that need no validation."""
        return np.union1d(self.train, self.validation)


def forecast_calendar(design: Design, problem: Problem) -> Times:
    """The times at which the forecast series were observed, ascending without repeats, shape (n,)."""
    codes = [code for code, name in enumerate(design.series_ids) if problem.is_forecast(name)]
    return np.unique(design.timestamp_utc[np.isin(design.series, codes)])


def split_for_service(design: Design, problem: Problem) -> Split:
    """The split of the model that goes into service: the last steps validate, all before them train."""
    calendar = forecast_calendar(design, problem)
    return _split(design, problem, calendar[-min(problem.training.validation_steps, len(calendar))], None, None)


def split_walk_forward(design: Design, problem: Problem) -> list[Split]:
    """The folds of the backtest, oldest first: expanding training, validation, then the tested block.

    Raises:
        DataRefusedError: The data are too short for one fold.
    """
    calendar, rule = forecast_calendar(design, problem), problem.backtest
    alone = 2 * problem.training.validation_steps + problem.features.scales[-1] + 2 * problem.horizon
    first = rule.initial_steps or max(len(calendar) // 2, alone)  # other series of the pool may begin earlier
    first = max(first, problem.training.validation_steps + 1)
    if first >= len(calendar) - problem.horizon:
        raise DataRefusedError(
            f"{problem.name}: {len(calendar)} steps of the forecast series, needs more than {first + problem.horizon} "
            f"for one fold of the backtest; widen the source, or lower backtest.initial_steps or "
            f"training.validation_steps"
        )
    first_rows = np.searchsorted(design.series, np.arange(len(design.series_ids)))  # rows lie in the order of series
    folds = []
    for begin in range(first, len(calendar) - problem.horizon, rule.refit_steps):
        end = calendar[begin + rule.refit_steps] if begin + rule.refit_steps < len(calendar) else None
        fold = _split(design, problem, calendar[begin - problem.training.validation_steps], calendar[begin], end)
        old_enough = fold.test - first_rows[design.series[fold.test]] >= rule.min_history_steps
        folds.append(Split(fold.train, fold.validation, fold.test[old_enough]))
    return folds


def _split(
    design: Design,
    problem: Problem,
    validation_start: np.datetime64,
    test_start: np.datetime64 | None,
    test_end: np.datetime64 | None,
) -> Split:
    times, ends = design.timestamp_utc, design.target_end_utc
    train = design.is_origin & (ends < validation_start)
    validation = design.is_origin & (times >= validation_start)
    test = np.zeros_like(validation)
    if test_start is not None:
        test = validation & (times >= test_start)
        validation &= ends < test_start
        if test_end is not None:
            test &= times < test_end
    lacks_training = train.sum() < problem.training.validation_steps
    if not design.change.any():
        raise DataRefusedError(
            f"{problem.name}: no series ever changes, and there is nothing to forecast; look at columns.target"
        )
    if lacks_training or validation.sum() < problem.horizon:
        advice = "lower training.validation_steps" if lacks_training else "raise training.validation_steps"
        raise DataRefusedError(
            f"{problem.name}: {train.sum()} origins to train on and {validation.sum()} to validate on before "
            f"{np.datetime_as_string(test_start or times.max(), unit='D')}; needs {problem.training.validation_steps} "
            f"and {problem.horizon}; widen the source, or {advice}"
        )
    return Split(np.flatnonzero(train), np.flatnonzero(validation), np.flatnonzero(test))
