"""What the network sees and what it must say: a panel becomes arrays, one row per series and step.

Everything at a row is computed from that row and earlier rows of its segment (and, for the cross-section, from other
series at the same time), so a change of the future changes nothing before it, to the last bit.

Source: RiskMetrics (1996) for the exponentially weighted scale; Corsi (2009) for variances at several horizons.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.grid import steps_after
from loopcast.panel import segment_ids
from loopcast.sections.data import Calendar
from loopcast.typing import Bools, Floats, Floats32, Ints, Times

VARIANCE_FLOOR_RATIO: Final = 1e-4
"""Least variance, as a share of the series' mean variance so far: a frozen stretch must not divide by zero."""
VARIANCE_FLOOR: Final = 1e-30
"""Least variance of a series that has never moved, in the transformed target's unit squared."""
MAX_TARGET_SD: Final = 50.0
"""Standardised targets are clipped here for fitting: beyond any real move, and less than one broken row would do."""
CHANGE_CLIP, LOG_CLIP, SCORE_CLIP = 5.0, 3.0, 4.0
"""Clips of changes (in scales), log-variance ratios and rolling z-scores: outliers inform, but do not dominate."""

CALENDAR_SIZES: Final[dict[Calendar, int]] = {"hour": 24, "day_of_week": 7, "month": 12, "week_of_quarter": 13}


@dataclass(frozen=True)
class Design:
    """A panel as arrays; N rows, F features, H horizons, C calendar positions, S segments.

    Attributes:
        series_ids: Names of the series, by code.
        series: Code of each row's series, shape (N,).
        timestamp_utc: Time of each row, shape (N,), datetime64[us].
        level: Transformed target, shape (N,).
        change: One-step change of the level, shape (N,); 0 at the head of a segment.
        variance: One-step variance proxy, shape (N,); NaN where unknown.
        scale: Square root of the exponentially weighted variance, shape (N,); of the step that follows.
        inputs: Features, shape (N, F).
        targets: (level[t+h] - level[t]) / (scale[t] sqrt(h)), shape (N, H); NaN where unknown.
        target_end_utc: Time of the row's last target, shape (N,); NaT where unknown.
        calendar: Which calendar pattern each row's target steps have, shape (N,).
        calendar_patterns: Share of each calendar position in the steps up to each horizon, shape (patterns, H, C).
        segments: First and last row of each run of neighbouring steps, shape (S, 2).
        position: Steps since the head of the segment, shape (N,).
        is_ready: Whether a forecast can be made at the row: warmed up and observed.
        is_origin: Whether the row is ready and all its targets were observed.
        feature_names: Names of the features, length F.
    """

    series_ids: tuple[str, ...]
    series: Ints
    timestamp_utc: Times
    level: Floats
    change: Floats
    variance: Floats
    scale: Floats
    inputs: Floats32
    targets: Floats
    target_end_utc: Times
    calendar: Ints
    calendar_patterns: Floats32
    segments: Ints
    position: Ints
    is_ready: Bools
    is_origin: Bools
    feature_names: tuple[str, ...]

    @property
    def horizon(self) -> int:
        """Steps ahead, H."""
        return int(self.targets.shape[1])

    def step_scale(self, rows: Ints) -> Floats:
        """Scale of the change over each horizon: scale sqrt(h), shape (n, H)."""
        return self.scale[rows, None] * np.sqrt(np.arange(1, self.horizon + 1))

    def changes(self, rows: Ints) -> Floats:
        """Observed change of the level from each origin to each target, shape (n, H).

        Args:
            rows: Origins, whose targets all lie in their segment.
        """
        targets = rows[:, None] + np.arange(1, self.horizon + 1)
        return np.asarray(self.level[targets] - self.level[rows, None], dtype=float)


def build_design(panel: pd.DataFrame, problem: Problem) -> Design:
    """The arrays of a panel, rows in the panel's order; which features they have depends on the problem alone.

    Args:
        panel: A frame that keeps `contracts.Panel`.

    Raises:
        DataRefusedError: The panel lacks a column that the problem's features are made from.
    """
    if missing := [name for name in _needed_columns(problem) if name not in panel]:
        raise DataRefusedError(
            f"{problem.name}: the panel lacks {', '.join(missing)}, found {', '.join(panel.columns)}; "
            f"needs every column that the model was trained on"
        )
    series, names = pd.factorize(panel["series_id"])
    times = panel["timestamp_utc"].to_numpy(dtype="datetime64[us]")
    cuts = segment_ids(panel, problem)
    heads = np.flatnonzero(np.r_[True, cuts[1:] != cuts[:-1]])
    segments = np.c_[heads, np.r_[heads[1:], len(panel)] - 1].astype(np.int64)
    target = panel["target"].to_numpy(dtype=float)
    level = np.log(target) if problem.transform == "log" else target
    is_filled = panel["is_filled"].to_numpy(dtype=bool)
    given = panel["range_variance"].to_numpy(dtype=float) if problem.columns.ohlc else None

    change, variance, scale = np.zeros_like(level), np.full_like(level, np.nan), np.full_like(level, np.nan)
    targets = np.full((len(level), problem.horizon), np.nan)
    ends = np.full(len(level), np.datetime64("NaT", "us"))
    position = np.arange(len(level)) - np.repeat(heads, np.diff(np.r_[heads, len(level)]))
    columns: list[list[Floats]] = []
    for first, last in segments:
        span = slice(first, last + 1)
        change[span] = np.diff(level[span], prepend=level[first])
        variance[span] = given[span] if given is not None else change[span] ** 2
        variance[first] = np.nan if given is None else variance[first]
        variance[span][is_filled[span]] = np.nan
        scale[span] = _weighted_scale(variance[span], problem.features.decay)
        observed = np.where(is_filled[span], np.nan, level[span])
        for h in range(1, min(problem.horizon, last - first) + 1):
            targets[first : last + 1 - h, h - 1] = observed[h:] - level[first : last + 1 - h]
        ends[first : last + 1 - problem.horizon] = times[first + problem.horizon : last + 1]
        columns.append(_segment_features(panel.iloc[span], change[span], variance[span], scale[span], problem))

    calendar, patterns = _calendar_patterns(times, problem)
    inputs = np.stack([np.concatenate(parts) for parts in zip(*columns, strict=True)], axis=1)
    names_of_features = _feature_names(problem)
    if problem.columns.series_id is not None:
        inputs = np.c_[inputs, _cross_section(inputs[:, 1:3], times)]
        names_of_features += [f"market_variance_{m}" for m in problem.features.scales[:2]]
    with np.errstate(invalid="ignore"):
        targets /= scale[:, None] * np.sqrt(np.arange(1, problem.horizon + 1))
    is_ready = (position >= problem.features.scales[-1]) & ~is_filled & np.isfinite(scale)
    return Design(
        series_ids=tuple(str(name) for name in names),
        series=series.astype(np.int64),
        timestamp_utc=times,
        level=level,
        change=change,
        variance=variance,
        scale=scale,
        inputs=np.nan_to_num(inputs, nan=0.0).astype(np.float32),
        targets=np.clip(targets, -MAX_TARGET_SD, MAX_TARGET_SD),
        target_end_utc=ends,
        calendar=calendar,
        calendar_patterns=patterns,
        segments=segments,
        position=position,
        is_ready=is_ready,
        is_origin=is_ready & np.isfinite(targets).all(axis=1),
        feature_names=tuple(names_of_features),
    )


def weighted_mean(values: Floats, decay: float) -> Floats:
    """Exponentially weighted mean of each value and those before it; unknown values carry no weight.

    Args:
        values: Shape (n,), NaN where unknown.
        decay: Weight of a value relative to the next one, in (0, 1).

    Returns:
        Shape (n,); NaN until the first known value.

    >>> weighted_mean(np.array([np.nan, 1.0, 3.0]), 0.5)
    array([       nan, 1.        , 2.33333333])
    """
    return pd.Series(values).ewm(alpha=1 - decay).mean().to_numpy()


def _weighted_scale(variance: Floats, decay: float) -> Floats:
    mean_so_far = pd.Series(variance).expanding().mean().to_numpy()
    floor = np.maximum(VARIANCE_FLOOR, VARIANCE_FLOOR_RATIO * mean_so_far)
    return np.sqrt(np.maximum(weighted_mean(variance, decay), floor))


def _segment_features(
    rows: pd.DataFrame, change: Floats, variance: Floats, scale: Floats, problem: Problem
) -> list[Floats]:
    """The features of one segment, each of shape (n,), in the order of `_feature_names`."""
    scales, log_scale = problem.features.scales, np.log(scale)
    series = pd.Series(variance)
    previous = np.r_[scale[:1], scale[:-1]]

    def log_ratio(mean: "pd.Series[float]") -> Floats:
        floor = VARIANCE_FLOOR_RATIO * np.exp(2 * log_scale)
        half_log: Floats = 0.5 * np.log(np.maximum(mean.to_numpy(dtype=float), floor))
        return np.clip(half_log - log_scale, -LOG_CLIP, LOG_CLIP)

    with np.errstate(invalid="ignore", divide="ignore"):
        features = [np.clip(change / previous, -CHANGE_CLIP, CHANGE_CLIP)]
        features += [log_ratio(series.rolling(m, min_periods=1).mean()) for m in scales]
        features.append(log_ratio(series.expanding().mean()))
        for m in scales[1:3]:
            moved = pd.Series(change).rolling(m, min_periods=1).sum().to_numpy()
            features.append(np.clip(moved / (scale * m**0.5), -CHANGE_CLIP, CHANGE_CLIP))
        if problem.columns.ohlc:
            overnight = rows["overnight_change"].to_numpy(dtype=float)
            features.append(np.clip(overnight / scale, -CHANGE_CLIP, CHANGE_CLIP))
        for covariate in problem.columns.covariates:
            values = rows[f"covariate_{covariate.column}"].to_numpy(dtype=float)
            if covariate.transform == "log":
                values = np.log(np.where(values > 0, values, np.nan))
            window = pd.Series(values).rolling(scales[-1], min_periods=5)
            score = (values - window.mean().to_numpy()) / (window.std().to_numpy() + 1e-9)
            features.append(np.clip(score, -SCORE_CLIP, SCORE_CLIP))
    return features


def _feature_names(problem: Problem) -> list[str]:
    scales = problem.features.scales
    return [
        "change",
        *(f"variance_{m}" for m in scales),
        "variance_all",
        *(f"change_{m}" for m in scales[1:3]),
        *(["overnight_change"] if problem.columns.ohlc else []),
        *(c.column for c in problem.columns.covariates),
    ]


def _needed_columns(problem: Problem) -> list[str]:
    ranges = ["range_variance", "overnight_change"] if problem.columns.ohlc else []
    return [*ranges, *(f"covariate_{each.column}" for each in problem.columns.covariates)]


def _cross_section(surprises: Floats, times: Times) -> Floats:
    """Mean over the series at the same time, shape as given: the market's surprise in volatility."""
    return pd.DataFrame(surprises).groupby(times).transform("mean").to_numpy()


def _calendar_patterns(times: Times, problem: Problem) -> tuple[Ints, Floats32]:
    """Each row's pattern, shape (N,), and the few patterns that rows share, shape (patterns, H, C)."""
    calendars = problem.features.calendar
    unique, inverse = np.unique(times, return_inverse=True)
    origins = pd.DatetimeIndex(unique).tz_localize("UTC")
    steps = [steps_after(origins, h, problem).tz_convert(problem.time_zone) for h in range(1, problem.horizon + 1)]
    columns = [_calendar_position(name, local) for local in steps for name in calendars]
    positions = np.stack(columns or [np.zeros(len(unique), dtype=np.int64)], axis=1)
    kinds, pattern = np.unique(positions, axis=0, return_inverse=True)
    starts = np.cumsum([0, *(CALENDAR_SIZES[name] for name in calendars)])
    shares = np.zeros((len(kinds), problem.horizon, starts[-1]), dtype=np.float32)
    for h in range(problem.horizon):
        for c in range(len(calendars)):
            shares[np.arange(len(kinds)), h, starts[c] + kinds[:, h * len(calendars) + c]] = 1.0
    shares = shares.cumsum(1) / np.arange(1, problem.horizon + 1, dtype=np.float32)[:, None]
    return pattern.ravel()[inverse].astype(np.int64), shares.astype(np.float32)


def _calendar_position(name: Calendar, local: pd.DatetimeIndex) -> Ints:
    if name == "hour":
        return np.asarray(local.hour, dtype=np.int64)
    if name == "day_of_week":
        return np.asarray(local.dayofweek, dtype=np.int64)
    if name == "month":
        return np.asarray(local.month, dtype=np.int64) - 1
    days = local.tz_localize(None)
    week = np.asarray((days - days.to_period("Q").start_time).days, dtype=np.int64) // 7
    return np.minimum(week, CALENDAR_SIZES[name] - 1)
