"""What the network sees and what it must say: a panel becomes arrays, one row per series and step.

Everything at a row is computed from that row and earlier rows of its segment (and, for the cross-section, from other
series at the same time), so a change of the future changes nothing before it, to the last bit.

Source: RiskMetrics (1996) for the exponentially weighted scale; Corsi (2009) for variances at several horizons.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from loopcast.calendars import calendar_patterns
from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.families import feature_names
from loopcast.panel import segment_ids
from loopcast.running import lag, weighted_means, window_means, window_scores
from loopcast.typing import Bools, Floats, Floats32, Ints, Times

VARIANCE_FLOOR_RATIO: Final = 1e-4
"""Least variance, as a share of the series' mean variance so far: a frozen stretch must not divide by zero."""
VARIANCE_FLOOR: Final = 1e-30
"""Least variance of a series that has never moved, in the transformed target's unit squared."""
MAX_TARGET_SD: Final = 50.0
"""Standardised targets are clipped here for fitting: beyond any real move, and less than one broken row would do."""
CHANGE_CLIP, LOG_CLIP, SCORE_CLIP = 5.0, 3.0, 4.0
"""Clips of changes (in scales), log-variance ratios and rolling z-scores: outliers inform, but do not dominate."""

MIN_SCORED: Final = 5
"""Known values in the longest window below which a covariate has no score: fewer hardly tell its spread."""


@dataclass(frozen=True)
class Steps:
    """The columns of a panel as arrays, in its order; N rows, C covariates.

    Attributes:
        series_ids: Names of the series, by code.
        series: Code of each row's series, shape (N,).
        timestamp_utc: Label of each step, shape (N,), datetime64[us].
        target: In its unit, shape (N,).
        is_filled: Whether the step was missing, shape (N,).
        segments: Run of neighbouring steps that each row is in, as `panel.segment_ids` counts them, shape (N,).
        range_variance, overnight_change: As in the panel, shape (N,); None where the problem has no prices.
        covariates: In the problem's order, shape (C, N).
    """

    series_ids: tuple[str, ...]
    series: Ints
    timestamp_utc: Times
    target: Floats
    is_filled: Bools
    segments: Ints
    range_variance: Floats | None
    overnight_change: Floats | None
    covariates: Floats


@dataclass(frozen=True)
class Design:
    """A panel as arrays; N rows, F features, H horizons, C calendar positions, S segments.

    Attributes:
        series_ids: Names of the series, by code.
        series: Code of each row's series, shape (N,).
        timestamp_utc: Time of each row, shape (N,), datetime64[us].
        target: In its unit, shape (N,).
        level: Transformed target, shape (N,).
        change: One-step change of the level, shape (N,); 0 at the head of a segment.
        variance: One-step variance proxy, shape (N,); NaN where unknown.
        scale: Square root of the exponentially weighted variance, shape (N,); of the step that follows.
        ewma_deviation: Deviation of the change over the step that follows, as the EWMA baseline has it, shape (N,).
        inputs: Features, shape (N, F).
        targets: (level[t+h] - level[t]) / (scale[t] sqrt(h)), shape (N, H); NaN where unknown.
        target_end_utc: Time of the row's last target, shape (N,); NaT where unknown.
        calendar: Which calendar pattern each row's target steps have, shape (N,).
        calendar_patterns: Share of each calendar position in the steps up to each horizon, shape (patterns, H, C).
        segments: First and last row of each run of neighbouring steps, shape (S, 2).
        position: Steps since the head of the segment, shape (N,).
        is_ready: Whether a forecast can be made at the row: warmed up and observed.
        is_origin: Whether the row is ready, its series moved in the longest window, and all its targets were observed.
            What stands still is forecast, but every interval holds it: trained on, it would narrow those of the others.
        feature_names: Names of the features, length F.
    """

    series_ids: tuple[str, ...]
    series: Ints
    timestamp_utc: Times
    target: Floats
    level: Floats
    change: Floats
    variance: Floats
    scale: Floats
    ewma_deviation: Floats
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
    has_prices = problem.columns.ohlc is not None
    covariates = [f"covariate_{each.column}" for each in problem.columns.covariates]
    steps = Steps(
        series_ids=tuple(str(name) for name in names),
        series=series.astype(np.int64),
        timestamp_utc=panel["timestamp_utc"].to_numpy(dtype="datetime64[us]"),
        target=panel["target"].to_numpy(dtype=float),
        is_filled=panel["is_filled"].to_numpy(dtype=bool),
        segments=segment_ids(panel, problem),
        range_variance=panel["range_variance"].to_numpy(dtype=float) if has_prices else None,
        overnight_change=panel["overnight_change"].to_numpy(dtype=float) if has_prices else None,
        covariates=panel[covariates].to_numpy(dtype=float).T,
    )
    return design_steps(steps, problem)


@np.errstate(over="ignore", invalid="ignore")  # steps of 1e200 overflow, and are then no origins
def design_steps(steps: Steps, problem: Problem) -> Design:
    """The design of steps."""
    n_rows, horizon, decay = len(steps.target), problem.horizon, problem.features.decay
    lengths = np.bincount(steps.segments)
    heads = np.cumsum(lengths) - lengths
    position = np.arange(n_rows) - np.repeat(heads, lengths)
    n_following = np.repeat(lengths, lengths) - 1 - position

    level = np.log(steps.target) if problem.transform == "log" else steps.target
    change = np.where(position > 0, level - lag(level, 1, position), 0.0)
    moved = np.where(position > 0, change**2, np.nan)
    variance = moved if steps.range_variance is None else steps.range_variance
    variance = np.where(steps.is_filled, np.nan, variance)
    past = weighted_means(np.array([variance, variance, moved]), np.array([1.0, decay, decay]), position)
    mean_so_far, recent, naive = past
    scale = np.sqrt(np.maximum(recent, np.maximum(VARIANCE_FLOOR, VARIANCE_FLOOR_RATIO * mean_so_far)))

    following = np.arange(n_rows)[:, None] + np.arange(1, horizon + 1)
    has_following = n_following[:, None] >= np.arange(1, horizon + 1)
    following = np.where(has_following, following, 0)
    observed = np.where(steps.is_filled, np.nan, level)
    targets = np.where(has_following, observed[following] - level[:, None], np.nan)
    targets /= scale[:, None] * np.sqrt(np.arange(1, horizon + 1))
    ends = np.where(has_following[:, -1], steps.timestamp_utc[following[:, -1]], np.datetime64("NaT", "us"))

    unique, inverse = np.unique(steps.timestamp_utc, return_inverse=True)
    features = _own_features(steps, position, level, change, variance, scale, mean_so_far, problem)
    if problem.columns.series_id is not None:
        features += [_market_mean(surprise, inverse) for surprise in features[1:3]]
    pattern, patterns = calendar_patterns(unique, problem)
    longest = problem.features.scales[-1]
    is_ready = (position >= longest) & ~steps.is_filled & np.isfinite(scale)
    rows = np.arange(n_rows)
    last_move = np.maximum.accumulate(np.where(change != 0, rows, -longest))
    return Design(
        series_ids=steps.series_ids,
        series=steps.series,
        timestamp_utc=steps.timestamp_utc,
        target=steps.target,
        level=level,
        change=change,
        variance=variance,
        scale=scale,
        ewma_deviation=np.sqrt(np.fmax(naive, VARIANCE_FLOOR)),
        inputs=_fill_unknown(features),
        targets=np.clip(targets, -MAX_TARGET_SD, MAX_TARGET_SD),
        target_end_utc=ends,
        calendar=pattern[inverse],
        calendar_patterns=patterns,
        segments=np.stack([heads, heads + lengths - 1], axis=1),
        position=position,
        is_ready=is_ready,
        is_origin=is_ready & (rows - last_move < longest) & np.isfinite(targets).all(axis=1),
        feature_names=feature_names(problem),
    )


def window_rows(design: Design, rows: Ints, length: int) -> Ints:
    """The rows of the window that ends at each row, shape (n, length); its head repeats before it."""
    heads = rows - design.position[rows]
    windows: Ints = np.maximum(rows[:, None] + np.arange(1 - length, 1), heads[:, None])
    return windows


def _needed_columns(problem: Problem) -> list[str]:
    ranges = ["range_variance", "overnight_change"] if problem.columns.ohlc else []
    return [*ranges, *(f"covariate_{each.column}" for each in problem.columns.covariates)]


def _own_features(
    steps: Steps,
    position: Ints,
    level: Floats,
    change: Floats,
    variance: Floats,
    scale: Floats,
    mean_so_far: Floats,
    problem: Problem,
) -> list[Floats]:
    """The features that a series has by itself, each of shape (N,), in the order of `feature_names`."""
    scales, log_scale = problem.features.scales, np.log(scale)
    floor = VARIANCE_FLOOR_RATIO * np.exp(2 * log_scale)
    previous = np.where(position > 0, lag(scale, 1, position), scale)

    def log_ratio(mean: Floats) -> Floats:
        ratio: Floats = 0.5 * np.log(np.maximum(mean, floor)) - log_scale
        return np.clip(ratio, -LOG_CLIP, LOG_CLIP)

    features = [np.clip(change / previous, -CHANGE_CLIP, CHANGE_CLIP)]
    features += [log_ratio(mean) for mean in (*window_means(variance, scales, position), mean_so_far)]
    for length in scales[1:3]:
        start = np.arange(len(level)) - np.minimum(length, position)
        features.append(np.clip((level - level[start]) / (scale * length**0.5), -CHANGE_CLIP, CHANGE_CLIP))
    if steps.overnight_change is not None:
        features.append(np.clip(steps.overnight_change / scale, -CHANGE_CLIP, CHANGE_CLIP))
    if len(steps.covariates):
        is_log = np.array([each.transform == "log" for each in problem.columns.covariates])[:, None]
        usable = np.where(is_log & ~(steps.covariates > 0), np.nan, steps.covariates)
        values = np.where(is_log, np.log(np.where(is_log, usable, 1.0)), usable)
        features += [*np.clip(window_scores(values, scales[-1], MIN_SCORED, position), -SCORE_CLIP, SCORE_CLIP)]
    return features


def _fill_unknown(features: list[Floats]) -> Floats32:
    """Features side by side, 0 where unknown, shape (N, F)."""
    inputs = np.stack(features, axis=1).astype(np.float32)
    inputs[np.isnan(inputs)] = 0.0
    return inputs


def _market_mean(surprise: Floats, time: Ints) -> Floats:
    """Mean over the series at the same time, shape as given: the market's surprise in volatility.

    Args:
        time: Number of each row's time, shape (N,), from 0.
    """
    known = ~np.isnan(surprise)
    count = np.bincount(time, known)
    total = np.bincount(time, np.where(known, surprise, 0.0))
    mean: Floats = np.full(len(total), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return np.asarray(mean[time])
