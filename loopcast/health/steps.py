"""Forecast steps beside what came true, and the columns by which they are watched.

Every column is in units that all series share: what a step's target may be expected to move is the EWMA baseline's
deviation at the origin times the square root of the horizon, its **reach**.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from scipy.special import ndtri

from loopcast.config import Problem
from loopcast.evidence.metrics import interval_ends, pinball_loss
from loopcast.forecasts import Forecasts
from loopcast.typing import Bools, Floats, Ints, Times

STILL: Final = 1e-12
"""EWMA deviation, in the transformed target's unit, of a series that does not move: its steps have no reach."""
CHUNK: Final = 1 << 15
"""Steps whose quantiles are judged at once: 13 of them take 3 MB."""


class Column(StrEnum):
    """What is rolled up; the first four, of the next step alone, are watched for drift."""

    STANDARDISED_CHANGE = "standardised_change"
    """Change of the level over the next step, in reaches: the input, freed of its volatility."""
    LOG_DEVIATION = "log_deviation"
    """Logarithm of the EWMA deviation at the origin: the volatility."""
    INTERVAL_WIDTH = "interval_width"
    """Width of the next step's 80 % interval, in reaches: 2.56 for a normal forecast of the baseline's width."""
    MEDIAN_LOCATION = "median_location"
    """The next step's median less the level at the origin, in reaches."""
    PINBALL = "pinball"
    """Pinball loss of a step, mean over the levels, in reaches."""
    BASELINE_PINBALL = "baseline_pinball"
    """The same of the EWMA baseline's normal quantiles."""
    ABSOLUTE_ERROR = "absolute_error"
    """Distance of the actual from the median, in reaches."""
    IS_COVERED_80 = "is_covered_80"
    """1 where the actual is inside the 80 % interval, else 0."""
    IS_COVERED_95 = "is_covered_95"


WATCHED: Final = (
    Column.STANDARDISED_CHANGE,
    Column.LOG_DEVIATION,
    Column.INTERVAL_WIDTH,
    Column.MEDIAN_LOCATION,
)
"""Columns of the next step that are held against the training data."""
ISSUED: Final = (Column.LOG_DEVIATION, Column.INTERVAL_WIDTH, Column.MEDIAN_LOCATION)
"""Columns that are known when a forecast is made; the others wait for the actual."""


@dataclass(frozen=True)
class Steps:
    """Steps of one problem's forecasts; n steps, one for each horizon of a forecast, K quantiles.

    Attributes:
        series_ids: Names of the series, by code.
        series: Code of each step's series, shape (n,).
        model_version: That made the forecast, shape (n,).
        origin_utc, target_utc: Shape (n,), datetime64.
        horizon: Steps from origin to target, from 1, shape (n,).
        origin_value: Target at the origin, in its unit, shape (n,).
        ewma_deviation: As in `Forecasts`, shape (n,).
        quantiles: Of the target, in its unit, ascending, shape (n, K).
        actual: What came true, on the scale that the origin had; NaN where it is not known yet, shape (n,).
    """

    series_ids: tuple[str, ...]
    series: Ints
    model_version: Ints
    origin_utc: Times
    target_utc: Times
    horizon: Ints
    origin_value: Floats
    ewma_deviation: Floats
    quantiles: Floats
    actual: Floats

    def __len__(self) -> int:
        """How many steps these are, n."""
        return len(self.series)

    def take(self, is_taken: Bools) -> "Steps":
        """The steps where the mask, of shape (n,), is true."""
        return Steps(
            self.series_ids,
            self.series[is_taken],
            self.model_version[is_taken],
            self.origin_utc[is_taken],
            self.target_utc[is_taken],
            self.horizon[is_taken],
            self.origin_value[is_taken],
            self.ewma_deviation[is_taken],
            self.quantiles[is_taken],
            self.actual[is_taken],
        )


def pair_steps(forecasts: Forecasts, actual: Floats) -> Steps:
    """The steps of forecasts, one after another, each beside its actual.

    Args:
        actual: Of each target on the scale of its origin, NaN where it is not known yet, shape (n, H).
    """
    n, n_horizons, n_levels = forecasts.quantiles.shape
    names, codes = np.unique(forecasts.series_ids.astype(str), return_inverse=True)
    return Steps(
        series_ids=tuple(names.tolist()),
        series=np.repeat(codes.astype(np.int64), n_horizons),
        model_version=np.full(n * n_horizons, forecasts.model_version, dtype=np.int64),
        origin_utc=np.repeat(forecasts.origin_utc, n_horizons),
        target_utc=forecasts.target_utc.ravel(),
        horizon=np.tile(np.arange(1, n_horizons + 1), n),
        origin_value=np.repeat(forecasts.origin_value, n_horizons),
        ewma_deviation=np.repeat(forecasts.ewma_deviation, n_horizons),
        quantiles=forecasts.quantiles.reshape(-1, n_levels),
        actual=actual.ravel(),
    )


def measure_columns(steps: Steps, problem: Problem) -> dict[Column, Floats]:
    """Each column of the steps, shape (n,); NaN where the actual is missing, the series stands still, or, in the
    columns that are watched for drift, the step is not the next one.

    Source: RiskMetrics Technical Document (1996) for the baseline.
    """
    levels, is_next = np.asarray(problem.quantiles), steps.horizon == 1
    normal = ndtri(levels)[None, None]
    values = {column: np.full(len(steps), np.nan) for column in Column}
    for start in range(0, len(steps), CHUNK):
        span = slice(start, start + CHUNK)
        reach = reach_of(steps.ewma_deviation[span], steps.horizon[span])[:, None]
        center = _transform(steps.origin_value[span], problem)[:, None]
        quantiles = (_transform(steps.quantiles[span], problem) - center) / reach
        change = (_transform(steps.actual[span], problem)[:, None] - center) / reach
        missing = np.where(np.isfinite(change[:, 0]), 0.0, np.nan)
        ends = {nominal: interval_ends(quantiles, levels, nominal) for nominal in (0.80, 0.95)}
        median = quantiles[:, int(np.argmin(np.abs(levels - 0.5)))]
        found = {
            Column.STANDARDISED_CHANGE: change[:, 0],
            Column.LOG_DEVIATION: np.log(steps.ewma_deviation[span]) + 0 * reach[:, 0],
            Column.INTERVAL_WIDTH: ends[0.80][1] - ends[0.80][0],
            Column.MEDIAN_LOCATION: median,
            Column.PINBALL: pinball_loss(change, quantiles[:, None], levels)[:, 0],
            Column.BASELINE_PINBALL: pinball_loss(change, normal, levels)[:, 0],
            Column.ABSOLUTE_ERROR: np.abs(change[:, 0] - median),
            Column.IS_COVERED_80: ((change[:, 0] >= ends[0.80][0]) & (change[:, 0] <= ends[0.80][1])) + missing,
            Column.IS_COVERED_95: ((change[:, 0] >= ends[0.95][0]) & (change[:, 0] <= ends[0.95][1])) + missing,
        }
        for column, value in found.items():
            values[column][span] = np.where(is_next[span], value, np.nan) if column in WATCHED else value
    return values


def measure_change(steps: Steps, problem: Problem) -> Floats:
    """Change of the level from the origin to the target, in the level's unit, shape (n,); NaN where it is not known."""
    return _transform(steps.actual, problem) - _transform(steps.origin_value, problem)


def reach_of(ewma_deviation: Floats, horizon: Ints) -> Floats:
    """What a step's target may be expected to move, in the level's unit, shape (n,); NaN where the series stands still.

    >>> reach_of(np.array([0.01, 0.0]), np.array([4, 1])).tolist()
    [0.02, nan]
    """
    reach: Floats = np.where(ewma_deviation > STILL, ewma_deviation, np.nan) * np.sqrt(horizon)
    return reach


def _transform(values: Floats, problem: Problem) -> Floats:
    """The level of a target; NaN where it has none, such as a price of zero."""
    return np.log(np.where(values > 0, values, np.nan)) if problem.transform == "log" else values
