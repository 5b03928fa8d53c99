"""How forecasts did since they were made: from the sums of their steps by day, model version and horizon.

Monitoring asks whether the champion is still good, over its window; this tells everybody how any stretch of days went,
beside the two forecasts that cost nothing: the EWMA baseline's intervals, and that nothing changes (persistence).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from pydantic import BaseModel, Field

from loopcast.evidence.comparison import compare
from loopcast.evidence.record import RECORD, Moment
from loopcast.typing import Floats

SUMMED: Final = (
    "n_steps", "n_judged", "loss", "baseline_loss", "n_covered_80", "n_covered_95", "n_compared", "absolute_error",
    "persistence_error",
)  # fmt: skip
"""Columns of what is summed; errors are those of the `n_compared` steps of which both are known."""
TRAILING_DAYS: Final = 63
"""Judged days behind each point of a curve: a quarter of trading days. One day holds too few steps to say anything."""
LEAST_DAYS: Final = 21
"""Judged days behind the first point: a month of trading days. Fewer would begin every curve with noise."""
MAX_POINTS: Final = 366
"""Of a curve over time; longer stretches are drawn every so many days."""

Keys = npt.NDArray[Any]
Totals = Mapping[str, Floats]
"""What steps add up to: for each of `SUMMED` one value for each row, or each day, horizon or version, shape (n,)."""
Values = Annotated[list[float | None], Field(description="One for each moment; null where it is not known.")]


class TrackFigures(BaseModel):
    """How some steps did; None where none of them has come true."""

    model_config = RECORD

    n_steps: int
    n_judged: int
    """That have come true."""
    n_pending: int
    """That have not, also because their series had no such day."""
    loss: float | None
    """Mean pinball loss, in the level's unit."""
    skill_ratio: float | None
    """1 - loss / loss of the EWMA baseline on the same steps; above 0 is better."""
    coverage_80_ratio: float | None
    """Share of the actuals that the 80 % interval held."""
    coverage_95_ratio: float | None
    absolute_error: float | None
    """Mean distance of the median from the actual, in the level's unit."""
    persistence_error: float | None
    """The same of the last known value."""
    error_ratio: float | None
    """The median's error over persistence's; below 1 is better than saying that nothing changes."""


class Advantage(BaseModel):
    """How much better than a forecast that costs nothing, and whether that is more than chance."""

    model_config = RECORD

    gain_ratio: float | None
    """1 - loss / loss of the other, over the means of the days; None where nothing compares."""
    p_value: float
    """Chance of a gain this clear if it were no better; 0.5 where too few days can tell."""
    n_days: int


class TrackCurve(BaseModel):
    """How it went over time: each point over the last `trailing_days` judged days, or as many as there are."""

    model_config = RECORD

    trailing_days: int
    day_utc: list[Moment]
    """Midnight of the targets' day: judged days from the `LEAST_DAYS`th on, earliest first; of long stretches every so
    many, the last among them."""
    n_judged: list[int]
    """Since the point before."""
    skill_ratio: Values
    coverage_80_ratio: Values
    coverage_95_ratio: Values
    error_ratio: Values


class TrackRecord(BaseModel):
    """How the forecasts of a stretch of days did."""

    model_config = RECORD

    overall: TrackFigures
    vs_ewma: Advantage
    """Of the loss."""
    vs_persistence: Advantage
    """Of the median's error."""
    by_horizon: dict[int, TrackFigures]
    by_version: dict[int, TrackFigures]
    curve: TrackCurve


def sum_up_track(sums: pd.DataFrame, horizon_days: int) -> TrackRecord:
    """The track record of all the steps that were summed.

    Args:
        sums: A row for each day_utc, model_version and horizon, with the columns `SUMMED`.
        horizon_days: Days from an origin to its last target among them, as `day.reach_in_days` counts them.
    """
    totals = {name: sums[name].to_numpy(dtype=float) for name in SUMMED}
    days, by_day = _sum_by(sums["day_utc"].dt.tz_convert(None).to_numpy(), totals)
    return TrackRecord(
        overall=_figure({name: float(column.sum()) for name, column in totals.items()}),
        vs_ewma=_compare_days(days, by_day, "loss", "baseline_loss", "n_judged", horizon_days),
        vs_persistence=_compare_days(days, by_day, "absolute_error", "persistence_error", "n_compared", horizon_days),
        by_horizon=_figure_by(sums["horizon"].to_numpy(), totals),
        by_version=_figure_by(sums["model_version"].to_numpy(), totals),
        curve=_draw_curve(days, by_day),
    )


def count_every(n: int, n_most: int) -> int:
    """Every which of n points is drawn, so that they are no more than some number.

    >>> count_every(366, 366), count_every(367, 366), count_every(0, 366)
    (1, 2, 1)
    """
    return max(-(-n // n_most), 1)


def _sum_by(keys: Keys, totals: Totals) -> tuple[Keys, Totals]:
    """The different keys, ascending, and what the rows of each add up to."""
    found, places = np.unique(keys, return_inverse=True)
    return found, {name: np.bincount(places, column, len(found)).astype(float) for name, column in totals.items()}


def _draw_curve(days: Keys, by_day: Totals) -> TrackCurve:
    is_judged = by_day["n_judged"] > 0
    n_days = int(is_judged.sum())
    ends = np.arange(n_days, LEAST_DAYS - 1, -count_every(n_days - LEAST_DAYS + 1, MAX_POINTS))[::-1]
    judged = {name: np.r_[np.zeros(TRAILING_DAYS), column[is_judged]] for name, column in by_day.items()}
    trailing = {name: sliding_window_view(column, TRAILING_DAYS)[ends].sum(axis=1) for name, column in judged.items()}
    passed = judged["n_judged"].cumsum()[ends + TRAILING_DAYS - 1]
    loss_ratio = _divide_each(trailing["loss"], trailing["baseline_loss"])
    return TrackCurve(
        trailing_days=TRAILING_DAYS,
        day_utc=pd.DatetimeIndex(days[is_judged][ends - 1], tz="UTC").to_pydatetime().tolist(),
        n_judged=np.diff(passed, prepend=0.0).round().astype(int).tolist(),
        skill_ratio=[None if each is None else 1 - each for each in loss_ratio],
        coverage_80_ratio=_divide_each(trailing["n_covered_80"], trailing["n_judged"]),
        coverage_95_ratio=_divide_each(trailing["n_covered_95"], trailing["n_judged"]),
        error_ratio=_divide_each(trailing["absolute_error"], trailing["persistence_error"]),
    )


def _compare_days(days: Keys, by_day: Totals, ours: str, theirs: str, counted: str, horizon_days: int) -> Advantage:
    is_counted = by_day[counted] > 0
    ours_mean, theirs_mean = (by_day[name][is_counted] / by_day[counted][is_counted] for name in (ours, theirs))
    found = compare(ours_mean, theirs_mean, days[is_counted], horizon_days)
    gain = found.gain_ratio if np.isfinite(found.gain_ratio) else None
    return Advantage(gain_ratio=gain, p_value=found.p_value, n_days=found.n_dates)


def _figure_by(keys: Keys, totals: Totals) -> dict[int, TrackFigures]:
    found, summed = _sum_by(keys, totals)
    return {int(key): _figure({name: column[k] for name, column in summed.items()}) for k, key in enumerate(found)}


def _figure(totals: Mapping[str, float]) -> TrackFigures:
    n_steps, n_judged, n_compared = (round(totals[name]) for name in ("n_steps", "n_judged", "n_compared"))
    loss_ratio = _divide(totals["loss"], totals["baseline_loss"])
    return TrackFigures(
        n_steps=n_steps,
        n_judged=n_judged,
        n_pending=n_steps - n_judged,
        loss=_divide(totals["loss"], n_judged),
        skill_ratio=None if loss_ratio is None else 1 - loss_ratio,
        coverage_80_ratio=_divide(totals["n_covered_80"], n_judged),
        coverage_95_ratio=_divide(totals["n_covered_95"], n_judged),
        absolute_error=_divide(totals["absolute_error"], n_compared),
        persistence_error=_divide(totals["persistence_error"], n_compared),
        error_ratio=_divide(totals["absolute_error"], totals["persistence_error"]),
    )


def _divide(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole > 0 else None


def _divide_each(part: Floats, whole: Floats) -> list[float | None]:
    return [_divide(a, b) for a, b in zip(part.tolist(), whole.tolist(), strict=True)]
