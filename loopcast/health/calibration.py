"""Thresholds from the training data: how high a statistic climbs in a year in which nothing changes.

Monitoring looks at overlapping windows day after day, so the question is never how unusual one window is, but how often
the highest of a year's windows gets there. Each calibration turns a statistic into that yearly probability, and back.
"""

import math
from typing import Final

import numpy as np
from pydantic import BaseModel

from loopcast.evidence.record import RECORD
from loopcast.health.histogram import Histogram
from loopcast.typing import Floats, Ints

N_YEARS: Final = 100
"""Bootstrapped years: enough for mean and spread of their maxima, from which the tail is extrapolated."""
LOOKS: Final = 252
"""Windows that a bootstrapped year holds at most; of finer steps it is a part of one, and the tail is shifted."""
BLOCK_STEPS: Final = 20
"""Mean length of a resampled block: what the EWMA has not filtered is forgotten within a month."""
POINTS: Final = 4
"""Points of the reference's quantile function for each value of a window."""
EULER: Final = 0.5772156649015329
CONSTANT: Final = 1e-3
"""Least spread of maxima, relative to their size (or to 1): a constant has none, and rounding must not alarm."""


class ShapeCalibration(BaseModel):
    """Of a distance between a window and the training data: the Gumbel law of its yearly maximum.

    Source: Gumbel (1958), Statistics of Extremes; Politis and Romano (1994), the stationary bootstrap, JASA 89(428).
    """

    model_config = RECORD

    location: float
    spread: float

    def yearly_probability(self, statistic: float) -> float:
        """Chance that an unchanged year shows the statistic at least once.

        >>> round(ShapeCalibration(location=1.0, spread=0.1).yearly_probability(1.0), 3)
        0.632
        """
        return -math.expm1(-math.exp(min((self.location - statistic) / self.spread, 700.0)))

    def threshold(self, probability: float) -> float:
        """The statistic that an unchanged year exceeds with a probability."""
        return self.location - self.spread * math.log(-math.log1p(-probability))


class LevelCalibration(BaseModel):
    """Of a window's mean: how far beyond everything in training the next year may take it.

    Levels such as volatility wander: a few years hold only a handful of independent quarters, and a bootstrap of them
    promises far too much. But the next year is as likely as any to be the most extreme of the years seen, so that N
    years are topped with a chance of 1 / (N + 1); beyond, it falls as the tail of a Gumbel law of the maxima of each
    window's length.
    """

    model_config = RECORD

    highest: float
    lowest: float
    high_spread: float
    low_spread: float
    n_years: float

    def yearly_probability(self, statistic: float) -> float:
        """Chance that an unchanged year shows a window's mean that far up, or that far down, at least once.

        >>> level = LevelCalibration(highest=2.0, lowest=1.0, high_spread=0.1, low_spread=0.1, n_years=9.0)
        >>> level.yearly_probability(2.0), round(level.yearly_probability(2.2), 3), level.yearly_probability(1.5)
        (0.2, 0.027, 1.0)
        """
        beyond = max((statistic - self.highest) / self.high_spread, (self.lowest - statistic) / self.low_spread)
        return min(2 / (self.n_years + 1) * math.exp(min(-beyond, 700.0)), 1.0)

    def thresholds(self, probability: float) -> tuple[float, float]:
        """The means below and above which an unchanged year comes with a probability."""
        beyond = math.log(2 / (self.n_years + 1) / probability)
        return self.lowest - beyond * self.low_spread, self.highest + beyond * self.high_spread


def calibrate_shapes(
    values: Floats, reference: Histogram, window: int, steps_per_year: float, rng: np.random.Generator
) -> tuple[ShapeCalibration, ShapeCalibration]:
    """Calibrations of the Kolmogorov-Smirnov and of the Wasserstein distance of a window from the reference.

    Args:
        values: Finite, in order of time, longer than a window, shape (n,).
        reference: Of the values.
        window: Values in a window.
        rng: Fixes the resampling.
    """
    looks = int(min(LOOKS, max(steps_per_year, 2)))
    years = values[_resample(len(values), N_YEARS, looks + window - 1, rng)]
    ordered, spread = np.sort(values), reference.deviation or 1.0
    highest = np.array([_highest_distances(year, ordered, window) for year in years]) / [1.0, spread]
    shift = max(math.log(steps_per_year / looks), 0.0)
    ks, wasserstein = (_fit_gumbel(column, shift) for column in highest.T)
    return ks, wasserstein


def calibrate_level(values: Floats, window: int, steps_per_year: float) -> LevelCalibration:
    """Calibration of the mean of a window.

    Args:
        values: Finite, in order of time, at least three windows long, shape (n,).
        window: Values in a window.
    """
    sums = np.cumsum(np.r_[0.0, values])
    means = (sums[window:] - sums[:-window]) / window
    n_blocks = len(means) // window
    blocks = means[len(means) - n_blocks * window :].reshape(n_blocks, window)
    least = CONSTANT * max(1.0, float(np.abs(means).max()))
    return LevelCalibration(
        highest=float(means.max()),
        lowest=float(means.min()),
        high_spread=max(_gumbel_spread(blocks.max(axis=1)), least),
        low_spread=max(_gumbel_spread(blocks.min(axis=1)), least),
        n_years=len(values) / steps_per_year,
    )


def _resample(n: int, n_paths: int, length: int, rng: np.random.Generator) -> Ints:
    """Positions of a stationary bootstrap in a ring of n, shape (n_paths, length)."""
    is_head = rng.random((n_paths, length)) < 1 / BLOCK_STEPS
    is_head[:, 0] = True
    head = np.maximum.accumulate(np.where(is_head, np.arange(length), 0), axis=1)
    start = np.take_along_axis(rng.integers(0, n, (n_paths, length)), head, axis=1)
    return np.asarray((start + np.arange(length) - head) % n, dtype=np.int64)


def _highest_distances(year: Floats, ordered: Floats, window: int) -> tuple[float, float]:
    """The highest Kolmogorov-Smirnov and Wasserstein distance of a year's windows from the ordered reference."""
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(year, window), axis=1)
    share = np.searchsorted(ordered, windows, side="right") / len(ordered)
    steps = np.arange(window) / window
    ks = np.maximum(np.abs(share - steps), np.abs(share - steps - 1 / window)).max()
    points = np.quantile(ordered, (np.arange(POINTS * window) + 0.5) / (POINTS * window)).reshape(window, POINTS)
    return float(ks), float(sum(np.abs(windows - points[:, k]).mean(axis=1) for k in range(POINTS)).max() / POINTS)


def _fit_gumbel(maxima: Floats, shift: float) -> ShapeCalibration:
    """The law of maxima by their moments, moved to a longer year by the logarithm of its length over theirs."""
    spread = max(_gumbel_spread(maxima), CONSTANT)
    return ShapeCalibration(location=float(maxima.mean()) + (shift - EULER) * spread, spread=spread)


def _gumbel_spread(maxima: Floats) -> float:
    return float(maxima.std(ddof=1)) * math.sqrt(6) / math.pi
