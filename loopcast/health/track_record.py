"""How forecasts did since they were made: from the sums of their steps by day, model version and horizon.

Monitoring asks whether the champion is still good, over its window; this tells everybody how any stretch of days went,
beside the two forecasts that cost nothing: the EWMA baseline's intervals, and that nothing changes (persistence).
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from pydantic import BaseModel

from loopcast.evidence.comparison import compare
from loopcast.evidence.record import RECORD, Moment

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


class TrackDay(BaseModel):
    """A point of the curves over time."""

    model_config = RECORD

    day_utc: Moment
    """Midnight of the targets' day."""
    n_judged: int
    """On that day and since the point before; with the first point all before it."""
    trailing: TrackFigures
    """Over the last `TRAILING_DAYS` judged days."""


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
    by_day: tuple[TrackDay, ...]
    """Judged days from the `LEAST_DAYS`th on, earliest first; of long stretches every so many, the last among them."""


def sum_up_track(sums: pd.DataFrame) -> TrackRecord:
    """The track record of all the steps that were summed.

    Args:
        sums: A row for each day_utc, model_version and horizon, with the columns `SUMMED`.
    """
    totals = sums[list(SUMMED)]
    by_day = totals.groupby(sums["day_utc"]).sum()
    horizon = int(sums["horizon"].max()) if len(sums) else 1
    return TrackRecord(
        overall=_figure(totals.sum().to_dict()),
        vs_ewma=_compare_days(by_day, "loss", "baseline_loss", "n_judged", horizon),
        vs_persistence=_compare_days(by_day, "absolute_error", "persistence_error", "n_compared", horizon),
        by_horizon=_figure_by(sums, "horizon"),
        by_version=_figure_by(sums, "model_version"),
        by_day=tuple(_draw_days(by_day)),
    )


def count_every(n: int, n_most: int) -> int:
    """Every which of n points is drawn, so that they are no more than some number.

    >>> count_every(366, 366), count_every(367, 366), count_every(0, 366)
    (1, 2, 1)
    """
    return max(-(-n // n_most), 1)


def _draw_days(by_day: pd.DataFrame) -> Iterator[TrackDay]:
    days = by_day[by_day["n_judged"] > 0]
    trailing = days.rolling(TRAILING_DAYS, min_periods=1).sum()
    every = count_every(len(days) - LEAST_DAYS + 1, MAX_POINTS)
    last_of_each = np.arange(len(days) - 1, LEAST_DAYS - 2, -every)[::-1]
    passed = days["n_judged"].cumsum().to_numpy()[last_of_each]
    moments: Sequence[datetime] = pd.DatetimeIndex(days.index[last_of_each]).to_pydatetime().tolist()
    rows = trailing.iloc[last_of_each].to_dict(orient="records")
    for moment, n_judged, row in zip(moments, np.diff(passed, prepend=0.0), rows, strict=True):
        yield TrackDay(day_utc=moment, n_judged=round(n_judged), trailing=_figure(row))


def _compare_days(by_day: pd.DataFrame, ours: str, theirs: str, counted: str, horizon: int) -> Advantage:
    days = by_day[by_day[counted] > 0]
    ours_mean, theirs_mean = ((days[name] / days[counted]).to_numpy(dtype=float) for name in (ours, theirs))
    found = compare(ours_mean, theirs_mean, days.index.astype("int64").to_numpy(), horizon)
    gain = found.gain_ratio if np.isfinite(found.gain_ratio) else None
    return Advantage(gain_ratio=gain, p_value=found.p_value, n_days=found.n_dates)


def _figure_by(sums: pd.DataFrame, key: str) -> dict[int, TrackFigures]:
    found = sums.groupby(key)[list(SUMMED)].sum().to_dict(orient="index")
    return {int(str(name)): _figure(totals) for name, totals in found.items()}


def _figure(totals: Mapping[Hashable, float]) -> TrackFigures:
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
