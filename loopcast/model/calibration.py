"""Split conformal calibration: widen or narrow each interval until it covers its nominal share of a held-out block."""

import numpy as np

from loopcast.typing import Floats


def conformal_widening(targets: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """What to add to each quantile, symmetric around the median, shape (H, K), in scales.

    Args:
        targets: Standardised targets of the held-out origins, shape (n, H).
        quantiles: Their forecast quantiles in the same units, ascending, shape (n, H, K).
        levels: Quantile levels, symmetric around 0.5, shape (K,).

    Source: Romano, Patterson and Candes (2019), Conformalized Quantile Regression.

    >>> wide = np.tile([-9.0, 0.0, 9.0], (100, 1, 1))
    >>> conformal_widening(np.linspace(-1, 1, 100)[:, None], wide, np.array([0.1, 0.5, 0.9])).round(1)
    array([[ 8.2,  0. , -8.2]])
    """
    n_levels = len(levels)
    widening = np.zeros(quantiles.shape[1:])
    for low in range(n_levels // 2):
        high = n_levels - 1 - low
        misses = np.maximum(quantiles[..., low] - targets, targets - quantiles[..., high])
        share = min(1.0, (levels[high] - levels[low]) * (1 + 1 / len(misses)))
        widening[:, high] = np.quantile(misses, share, axis=0)
        widening[:, low] = -widening[:, high]
    return widening
