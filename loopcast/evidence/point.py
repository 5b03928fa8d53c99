"""The figures of the median as a point forecast: pure functions over arrays.

Shapes as in `metrics`: N rows (a series at an origin), H horizons.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from loopcast.evidence.dependence import average_by_date, choose_lag, long_run_variance
from loopcast.typing import Floats


def smape_ratio(actual: Floats, point: Floats) -> float:
    """Symmetric mean absolute percentage error, as a ratio in 0..2; 0 where both are zero.

    >>> smape_ratio(np.array([1.0, 0.0]), np.array([3.0, 0.0]))
    0.5
    """
    size = np.abs(actual) + np.abs(point)
    ratio = np.divide(2 * np.abs(actual - point), size, out=np.zeros_like(size), where=size > 0)
    return float(ratio.mean())


def scaled_errors(error: Floats, mean_change: Floats, rms_change: Floats) -> tuple[float, float]:
    """MASE and RMSSE over the rows whose series changed in sample; NaN where none did.

    Args:
        error: Actual less median, shape (N, H).
        mean_change: In-sample mean absolute one-step change of each row's series, shape (N,).
        rms_change: In-sample root mean square one-step change of each row's series, shape (N,).

    Source: Hyndman and Koehler (2006), International Journal of Forecasting 22(4); Makridakis et al. (2022), 38(4).

    >>> scaled_errors(np.array([[2.0], [9.0]]), np.array([4.0, 0.0]), np.array([5.0, 0.0]))
    (0.5, 0.4)
    """
    varies = (mean_change > 0) & (rms_change > 0)
    if not varies.any():
        return float("nan"), float("nan")
    absolute = np.abs(error[varies]) / mean_change[varies, None]
    squared = (error[varies] / rms_change[varies, None]) ** 2
    return float(absolute.mean()), float(np.sqrt(squared.mean()))


def direction_ratio(
    actual: Floats, point: Floats, last: Floats, dates: npt.NDArray[Any], horizon: int
) -> tuple[float, float]:
    """Share of right signs among the steps where the forecast moved, and its standard error; NaN if it never moved.

    The error counts each date once, and dates whose horizons overlap as dependent: rows are not independent draws.

    Args:
        actual: Shape (N, H).
        point: The forecast, shape (N, H).
        last: Level at the origin, shape (N,).
        dates: Origins, shape (N,).
        horizon: Steps from an origin to its last target; origins closer than that share targets.

    >>> actual, point = np.array([[2.0], [2.0], [0.5], [2.0]]), np.array([[1.1], [1.2], [1.3], [1.0]])
    >>> ratio, se = direction_ratio(actual, point, np.ones(4), np.arange(4), horizon=1)
    >>> round(ratio, 3), round(se, 3)
    (0.667, 0.248)
    """
    called = np.sign(point - last[:, None])
    has_moved = called != 0
    if not has_moved.any():
        return float("nan"), float("nan")
    is_right = called == np.sign(actual - last[:, None])
    ratio = float(is_right[has_moved].mean())
    excess = average_by_date(((is_right - ratio) * has_moved).sum(axis=1), dates)
    moves = average_by_date(has_moved.sum(axis=1).astype(float), dates)
    n_dates = len(moves)
    variance = long_run_variance(excess / moves.mean(), choose_lag(n_dates, horizon))
    return ratio, float(np.sqrt(variance / n_dates))
