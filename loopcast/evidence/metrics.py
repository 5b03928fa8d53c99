"""How good one candidate's quantile forecasts were: pure functions over arrays, and the `Score` that composes them.

Shapes throughout: N rows (a series at an origin), H horizons, K quantile levels. Values are levels of the transformed
target: of a price under `transform: log`, its logarithm. Whether one candidate beats another stands in `comparison`.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from loopcast.evidence.point import direction_ratio, scaled_errors, smape_ratio
from loopcast.evidence.record import RECORD
from loopcast.typing import Floats


class IntervalScore(BaseModel):
    """How one central interval did, pooled and by horizon."""

    model_config = RECORD

    nominal_ratio: float
    coverage_ratio: float
    width: float
    winkler: float
    """Width plus 2 / (1 - nominal) times the distance of what fell outside; lower is better."""
    coverage_ratio_by_horizon: tuple[float, ...]
    width_by_horizon: tuple[float, ...]
    winkler_by_horizon: tuple[float, ...]


class Score(BaseModel):
    """All figures of one candidate, in the transformed target's unit unless their names say otherwise.

    A figure that the data leave undefined is NaN: a ratio to an error of zero, a direction that was never called.
    """

    model_config = RECORD

    n_rows: int
    n_dates: int
    pinball: float
    pinball_by_horizon: tuple[float, ...]
    interval_80: IntervalScore
    interval_95: IntervalScore
    mae: float
    rmse: float
    mae_ratio: float
    """Mean absolute error over that of persistence; 1 is no better than saying that nothing changes."""
    rmse_ratio: float
    mase: float
    rmsse: float
    smape_ratio: float
    """In the target's own unit: a logarithm is undone first."""
    direction_ratio: float
    """Share of right signs among the steps where the median moved."""
    direction_se: float
    rise_ratio: float
    """Share of rises among the directions called; near 0 or 1 a right share says what the series did, not more."""
    crossing_ratio: float

    def figures(self) -> dict[str, float]:
        """The pooled figures under flat names, as a tracker logs them."""
        flat = self.model_dump(exclude={"pinball_by_horizon", "interval_80", "interval_95"})
        for name, interval in (("80", self.interval_80), ("95", self.interval_95)):
            flat |= {
                f"coverage_{name}_ratio": interval.coverage_ratio,
                f"width_{name}": interval.width,
                f"winkler_{name}": interval.winkler,
            }
        return flat


def score(
    actual: Floats,
    quantiles: Floats,
    levels: Floats,
    *,
    last: Floats,
    mean_change: Floats,
    rms_change: Floats,
    dates: npt.NDArray[Any],
    transform: Literal["none", "log"] = "none",
) -> Score:
    """All figures of one candidate's out-of-sample forecasts; the median is its point forecast.

    Args:
        actual: Shape (N, H).
        quantiles: Shape (N, H, K).
        levels: Ascending, symmetric, with the ends of the 80 % and 95 % intervals and 0.5, shape (K,).
        last: Level at the origin, shape (N,).
        mean_change: In-sample mean absolute one-step change of each row's series, shape (N,).
        rms_change: In-sample root mean square one-step change of each row's series, shape (N,).
        dates: Origins, shape (N,); several series may share one.
        transform: What was done to the target; undone for the sMAPE alone, which means nothing on logarithms.

    Raises:
        ValueError: There is no row, or shapes do not fit together.
    """
    n_rows, n_horizons = actual.shape
    per_row = (last, mean_change, rms_change, dates)
    if quantiles.shape != (n_rows, n_horizons, len(levels)) or any(a.shape != (n_rows,) for a in per_row):
        shapes = [a.shape for a in (actual, quantiles, levels, *per_row)]
        raise ValueError(f"found shapes {shapes}; needs (N, H), (N, H, K), (K,) and four times (N,)")
    if n_rows == 0:
        raise ValueError("no forecast to score; needs at least one row")
    loss = pinball_loss(actual, quantiles, levels)
    point = quantiles[..., int(np.argmin(np.abs(levels - 0.5)))]
    error, change = actual - point, actual - last[:, None]
    mae, rmse = float(np.abs(error).mean()), float(np.sqrt((error**2).mean()))
    mase, rmsse = scaled_errors(error, mean_change, rms_change)
    direction, direction_se = direction_ratio(actual, point, last, dates, n_horizons)
    is_log = transform == "log"
    called = np.sign(point - last[:, None])
    return Score(
        n_rows=n_rows,
        n_dates=len(np.unique(dates)),
        pinball=float(loss.mean()),
        pinball_by_horizon=tuple(loss.mean(axis=0).tolist()),
        interval_80=_score_interval(actual, quantiles, levels, 0.80),
        interval_95=_score_interval(actual, quantiles, levels, 0.95),
        mae=mae,
        rmse=rmse,
        mae_ratio=_ratio(mae, float(np.abs(change).mean())),
        rmse_ratio=_ratio(rmse, float(np.sqrt((change**2).mean()))),
        mase=mase,
        rmsse=rmsse,
        smape_ratio=smape_ratio(np.exp(actual), np.exp(point)) if is_log else smape_ratio(actual, point),
        direction_ratio=direction,
        direction_se=direction_se,
        rise_ratio=_ratio(float((called > 0).sum()), float((called != 0).sum())),
        crossing_ratio=crossing_ratio(quantiles),
    )


def pinball_loss(actual: Floats, quantiles: Floats, levels: Floats) -> Floats:
    """Mean pinball loss over the levels, shape (N, H); twice of it approaches the CRPS as levels get denser.

    Args:
        actual: Shape (N, H).
        quantiles: Shape (N, H, K).
        levels: Ascending, in (0, 1), shape (K,).

    Source: Koenker and Bassett (1978), Econometrica 46(1).

    >>> pinball_loss(np.array([[3.0]]), np.array([[[1.0, 2.0]]]), np.array([0.1, 0.5])).tolist()
    [[0.35]]
    """
    error = actual[..., None] - quantiles
    loss: Floats = np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
    return loss


def interval_ends(quantiles: Floats, levels: Floats, nominal: float) -> tuple[Floats, Floats]:
    """Lower and upper end of a central interval, each of shape (N, H).

    Raises:
        ValueError: The levels lack an end of the interval.

    >>> lower, upper = interval_ends(np.array([[[1.0, 2.0, 4.0]]]), np.array([0.1, 0.5, 0.9]), nominal=0.8)
    >>> lower.tolist(), upper.tolist()
    ([[1.0]], [[4.0]])
    """
    columns = [np.flatnonzero(np.isclose(levels, level)) for level in ((1 - nominal) / 2, (1 + nominal) / 2)]
    if not all(len(column) == 1 for column in columns):
        raise ValueError(f"a {nominal:.0%} interval needs its two ends among the levels, found {levels.tolist()}")
    return quantiles[..., columns[0][0]], quantiles[..., columns[1][0]]


def winkler_loss(actual: Floats, lower: Floats, upper: Floats, nominal: float) -> Floats:
    """Width of the interval plus the penalty for what fell outside, in the shape of the inputs.

    Source: Winkler (1972), Journal of the American Statistical Association 67(337).

    >>> winkler_loss(np.array([1.5, 3.0]), np.array([1.0, 1.0]), np.array([2.0, 2.0]), nominal=0.8).round(9).tolist()
    [1.0, 11.0]
    """
    outside = np.maximum(lower - actual, 0) + np.maximum(actual - upper, 0)
    return (upper - lower) + 2 / (1 - nominal) * outside


def observed_ratios(actual: Floats, quantiles: Floats) -> Floats:
    """Share of actuals at or below each quantile, shape (K,); a calibrated forecast returns its own levels.

    >>> observed_ratios(np.array([[1.0], [2.0]]), np.array([[[1.5, 3.0]], [[1.5, 3.0]]])).tolist()
    [0.5, 1.0]
    """
    shares: Floats = (actual[..., None] <= quantiles).mean(axis=(0, 1))
    return shares


def crossing_ratio(quantiles: Floats) -> float:
    """Share of neighbouring quantiles that stand in the wrong order.

    >>> crossing_ratio(np.array([[[1.0, 3.0, 2.0]]]))
    0.5
    """
    return float((np.diff(quantiles, axis=-1) < 0).mean())


def _score_interval(actual: Floats, quantiles: Floats, levels: Floats, nominal: float) -> IntervalScore:
    lower, upper = interval_ends(quantiles, levels, nominal)
    is_inside = (actual >= lower) & (actual <= upper)
    width, winkler = upper - lower, winkler_loss(actual, lower, upper, nominal)
    return IntervalScore(
        nominal_ratio=nominal,
        coverage_ratio=float(is_inside.mean()),
        width=float(width.mean()),
        winkler=float(winkler.mean()),
        coverage_ratio_by_horizon=tuple(is_inside.mean(axis=0).tolist()),
        width_by_horizon=tuple(width.mean(axis=0).tolist()),
        winkler_by_horizon=tuple(winkler.mean(axis=0).tolist()),
    )


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else float("nan")
