"""Means over dates that depend on each other: what the standard errors of `metrics` and `comparison` share.

Series of one date move together, and forecasts whose horizons overlap repeat each other's errors. So figures are first
averaged by date, and the error of their mean counts the autocorrelation.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from loopcast.typing import Floats


def average_by_date(values: Floats, dates: npt.NDArray[Any]) -> Floats:
    """Mean of the values of each date, in the order of the dates.

    Args:
        values: Shape (n,).
        dates: Shape (n,), anything that sorts; repeats where several series share a date.

    >>> average_by_date(np.array([1.0, 5.0, 3.0]), np.array([1, 2, 1])).tolist()
    [2.0, 5.0]
    """
    _, position = np.unique(dates, return_inverse=True)
    return np.bincount(position, values) / np.bincount(position)


def choose_lag(n_dates: int, horizon: int) -> int:
    """Steps across which dates are taken to depend on each other: the overlap of horizons, or the rule for n if longer.

    Source: Newey and West (1994), Review of Economic Studies 61(4), with the constant for the Bartlett kernel.

    >>> choose_lag(1652, horizon=5), choose_lag(1652, horizon=24)
    (7, 23)
    """
    return max(horizon - 1, int(4 * (n_dates / 100) ** (2 / 9)))


def long_run_variance(values: Floats, lag: int) -> float:
    """Variance of a mean, times n, under autocorrelation up to `lag` (Bartlett kernel); 0 for fewer than two values.

    Args:
        values: One per date, in order, shape (n,).
        lag: In steps; 0 gives the ordinary variance.

    Source: Newey and West (1987), Econometrica 55(3).

    >>> long_run_variance(np.array([1.0, -1.0, 1.0, -1.0]), lag=0)
    1.0
    >>> long_run_variance(np.array([1.0, -1.0, 1.0, -1.0]), lag=1)
    0.25
    """
    n = len(values)
    if n < 2:
        return 0.0
    centred = values - values.mean()
    lags = range(1, min(lag, n - 1) + 1)
    covariances = sum((1 - k / (lag + 1)) * float(centred[k:] @ centred[:-k]) for k in lags)
    return max((float(centred @ centred) + 2 * covariances) / n, 0.0)
