"""Means and deviations over what has gone before: all of it, the last few rows, or all with decaying weights.

A sum over n rows is put together from sums over 1, 2, 4, 8 … rows, for all rows and segments at once. To the last bit
it depends on its own segment up to its own row alone: neither on what follows nor on what else is in the panel.
"""

from typing import Final

import numpy as np

from loopcast.typing import Bools, Floats, Ints

LEAST_ROOT: Final = 1e-150
"""Weights below the square of it are no longer held exactly by a computer, and are left out."""


def weighted_means(values: Floats, decays: Floats, position: Ints) -> Floats:
    """Mean of each value and those before it in its segment; unknown values carry no weight.

    Args:
        values: One row for each variable, shape (v, n), NaN where unknown.
        decays: Weight of a value relative to the next one, in (0, 1], shape (v,); 1 for the plain mean.
        position: Rows since the head of the segment, shape (n,).

    Returns:
        Shape (v, n); NaN until the first known value.

    >>> weighted_means(np.array([[np.nan, 1.0, 3.0, 5.0]]), np.array([0.5]), np.array([0, 1, 2, 0]))
    array([[       nan, 1.        , 2.33333333, 5.        ]])
    """
    return _divide(decayed_sums(_split_known(values), decays, position))


def decayed_sums(values: Floats, decays: Floats, position: Ints) -> Floats:
    """Sum of each value and those before it in its segment, with decaying weights.

    Args:
        values: One row for each variable, shape (…, v, n).
        decays: Weight of a value relative to the next one, in [0, 1], shape (v,).
        position: Rows since the head of the segment, shape (n,).

    Returns:
        Shape (…, v, n).

    >>> decayed_sums(np.array([[4.0, 2.0, 1.0]]), np.array([0.5]), np.arange(3))
    array([[4., 4., 3.]])
    """
    sums, span, weight, longest = values, 1, decays[:, None], position.max(initial=0)
    while span <= longest and weight.any():
        sums = sums + weight * lag(sums, span, position)
        span, weight = 2 * span, np.where(weight < LEAST_ROOT, 0.0, weight * weight)
    return sums


def window_means(values: Floats, lengths: tuple[int, ...], position: Ints) -> list[Floats]:
    """For each length, the mean of the known ones among a segment's last so many values, shape (n,).

    Args:
        values: Shape (n,), NaN where unknown.
        position: Rows since the head of the segment, shape (n,).

    >>> window_means(np.array([1.0, 3.0, np.nan, 5.0]), (2,), np.arange(4))
    [array([1., 2., 3., 5.])]
    """
    total = _split_known(values)
    totals = [np.zeros_like(total) for _ in lengths]
    span = 1
    while span <= max(lengths):
        for index, length in enumerate(lengths):
            if length & span:
                totals[index] = totals[index] + lag(total, length & (span - 1), position)
        total = total + lag(total, span, position)
        span *= 2
    return [_divide(each) for each in totals]


def window_scores(values: Floats, length: int, least: int, position: Ints) -> Floats:
    """How many deviations each value lies above the mean of its segment's last `length` values, itself among them.

    Args:
        values: One row for each variable, shape (c, n), NaN where unknown.
        least: Known values in the window below which the score is unknown; at least two.
        position: Rows since the head of the segment, shape (n,).

    Returns:
        Shape (c, n), NaN where unknown.

    Source: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.

    >>> window_scores(np.array([[1.0, 2.0, 3.0]]), 3, 2, np.arange(3)).round(4)
    array([[   nan, 0.7071, 1.    ]])
    """
    known = ~np.isnan(values)
    moments = np.array([known, np.where(known, values, 0.0), np.zeros(values.shape)])
    window = np.zeros_like(moments)
    span = 1
    while span <= length:
        if length & span:
            window = _merge(window, lag(moments, length & (span - 1), position))
        moments = _merge(moments, lag(moments, span, position))
        span *= 2
    count, mean, squares = window
    deviation = np.sqrt(squares / np.maximum(count - 1, 1)) + 1e-9  # a constant has the score 0
    return np.where(count >= least, (values - mean) / deviation, np.nan)


def lag(values: Floats, n_rows: int, position: Ints) -> Floats:
    """The values so many rows before, 0 before the head of the segment.

    Args:
        values: Shape (…, n).
        position: Rows since the head of the segment, shape (n,).

    >>> lag(np.array([1.0, 2.0, 3.0]), 1, np.array([0, 1, 0]))
    array([0., 1., 0.])
    """
    if n_rows == 0:
        return values
    lagged = np.zeros(values.shape)
    np.copyto(lagged[..., n_rows:], values[..., :-n_rows], where=position[n_rows:] >= n_rows)
    return lagged


def _split_known(values: Floats) -> Floats:
    """Each value, 0 for an unknown one, and whether it is known, shape (2, …)."""
    known: Bools = ~np.isnan(values)
    return np.array([np.where(known, values, 0.0), known])


def _divide(total: Floats) -> Floats:
    mean = np.full(total.shape[1:], np.nan)
    np.divide(total[0], total[1], out=mean, where=total[1] > 0)
    return mean


def _merge(near: Floats, far: Floats) -> Floats:
    """Count, mean and summed squares of deviations of two sets together, each of shape (3, …)."""
    merged = near + far
    share = far[0] / np.maximum(merged[0], 1)
    difference = far[1] - near[1]
    merged[1] = near[1] + share * difference
    merged[2] += near[0] * share * difference * difference
    return merged
