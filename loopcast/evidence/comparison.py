"""Whether one candidate's losses are lower than another's by more than chance: Diebold-Mariano on date means."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from loopcast.evidence.dependence import average_by_date, choose_lag, long_run_variance
from loopcast.evidence.record import RECORD
from loopcast.typing import Floats

MIN_DATES: Final = 30
"""Dates below which the autocorrelation cannot be estimated, so that nothing is claimed."""
FLAT_RATIO: Final = 1e-12
"""Spread of the differences, relative to the losses, that is rounding and not variation."""


class Comparison(BaseModel):
    """How a candidate's losses compare with a reference's on the same rows."""

    model_config = RECORD

    gain_ratio: float
    """1 - loss / loss of the reference: positive where the candidate is better; NaN where nothing compares."""
    t_statistic: float
    p_value: float
    """Probability of a gain this clear if the candidate were no better; 0.5 where the data cannot tell."""
    n_dates: int


def compare(loss: Floats, reference: Floats, dates: npt.NDArray[Any], horizon: int) -> Comparison:
    """Test whether `loss` is lower than `reference`, row by row of the same forecasts.

    Losses are averaged by date, because series of one date are dependent; the variance counts autocorrelation by the
    Bartlett kernel; the statistic has the small-sample factor of Harvey, Leybourne and Newbold and Student's t with
    n - 1 degrees of freedom. Fewer than `MIN_DATES` dates, no more dates than steps in the horizon, or differences that
    do not vary, are no evidence: t = 0.

    Args:
        loss: Finite and not negative, shape (n,).
        reference: In the same unit and order, shape (n,).
        dates: Origins, shape (n,); several series may share one.
        horizon: Dates from an origin to its last target, both counted in steps of `dates`.

    Raises:
        ValueError: Lengths differ, or a loss is not finite.

    Source: Diebold and Mariano (1995), Journal of Business & Economic Statistics 13(3); Harvey, Leybourne and Newbold
    (1997), International Journal of Forecasting 13(2).

    >>> dates, noise = np.arange(100), np.sin(np.arange(100.0))
    >>> result = compare(1.0 + 0.1 * noise, 1.1 + 0.2 * noise, dates, horizon=1)
    >>> round(result.gain_ratio, 2), result.p_value < 0.001
    (0.09, True)
    """
    from scipy.special import stdtr  # a fifth of a second, for which a service that starts has no use

    if not len(loss) == len(reference) == len(dates):
        raise ValueError(f"found {len(loss)} losses, {len(reference)} references, {len(dates)} dates; needs pairs")
    if n_bad := int((~np.isfinite(loss) | ~np.isfinite(reference)).sum()):
        raise ValueError(f"{n_bad} of {len(loss)} pairs hold a loss that is not finite; needs finite losses")
    if len(loss) == 0:
        return Comparison(gain_ratio=float("nan"), t_statistic=0.0, p_value=0.5, n_dates=0)
    ours, theirs = average_by_date(loss, dates), average_by_date(reference, dates)
    n, mean_theirs = len(ours), float(theirs.mean())
    gain = 1 - float(ours.mean()) / mean_theirs if mean_theirs > 0 else float("nan")
    t = _t_statistic(theirs - ours, horizon, flat=FLAT_RATIO * float(max(ours.max(), theirs.max())))
    return Comparison(gain_ratio=gain, t_statistic=t, p_value=float(stdtr(max(n - 1, 1), -t)), n_dates=n)


def _t_statistic(difference: Floats, horizon: int, flat: float) -> float:
    n = len(difference)
    variance = long_run_variance(difference, choose_lag(n, horizon))
    # The small-sample factor is (n - h)(n - h + 1) / n²: zero at a horizon of n, and growing again beyond it.
    if n < MIN_DATES or n <= horizon or np.ptp(difference) <= flat or variance == 0:
        return 0.0
    small_sample = (n - horizon) * (n - horizon + 1) / n**2
    return float(difference.mean()) / float(np.sqrt(variance / n)) * float(np.sqrt(small_sample))
