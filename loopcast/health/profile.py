"""What the champion was trained on, binned once: what live windows are held against. It is stored with the model."""

from base64 import b64decode, b64encode
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.config import Problem
from loopcast.contracts import Panel
from loopcast.evidence.record import RECORD
from loopcast.features import Design, build_design
from loopcast.grid import place_on_grid
from loopcast.health.calibration import LevelCalibration, ShapeCalibration, calibrate_level, calibrate_shapes
from loopcast.health.histogram import Bins, Histogram, choose_bins, count_values
from loopcast.health.rollup import pack_counts, unpack_counts
from loopcast.health.steps import Column, Steps, measure_columns
from loopcast.health.watched import Track, pool_tracks, split_tracks
from loopcast.model.served import Answering
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats, Ints

YEAR: Final = pd.Timedelta(days=365.25)
LEAST_WINDOWS: Final = 4
"""Windows of training that a series needs to be calibrated: fewer tell nothing of how it wanders."""


class StoredHistogram(BaseModel):
    """A histogram as JSON holds it."""

    model_config = RECORD

    low: float
    high: float
    counts: str
    """Packed counts, in base 64."""
    n_missing: int
    total: float
    squares: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, histogram: Histogram) -> "StoredHistogram":
        """The stored form."""
        bins, counts = histogram.bins, b64encode(pack_counts(histogram.counts)).decode()
        rest = {name: getattr(histogram, name) for name in ("n_missing", "total", "squares", "minimum", "maximum")}
        return cls(low=bins.low, high=bins.high, counts=counts, **rest)

    def restore(self) -> Histogram:
        """The histogram itself."""
        rest = self.model_dump(exclude={"low", "high", "counts"})
        return Histogram(Bins(self.low, self.high), unpack_counts(b64decode(self.counts)), **rest)


class SeriesProfile(BaseModel):
    """What one series looked like in training; levels are of the transformed target."""

    model_config = RECORD

    n_rows: int
    """Observed steps."""
    first_utc: datetime
    last_utc: datetime
    minimum: float
    maximum: float
    missing_ratio: float
    """Share of the calendar's steps between first and last that were not observed."""
    steps_per_year: float
    """Observed ones."""
    mean_change: float
    """Mean absolute one-step change of the level."""
    largest_change: float
    longest_run: int
    """Most observed steps in a row with one value."""


class Watch(BaseModel):
    """How one series, or all of them together, is watched for drift."""

    model_config = RECORD

    n_values: int
    """Standardised changes in training."""
    changes: StoredHistogram
    """Of the standardised changes."""
    ks: ShapeCalibration
    wasserstein: ShapeCalibration
    levels: dict[Column, LevelCalibration]
    means: dict[Column, float]
    """Of each watched column in training."""


class Profile(BaseModel):
    """The training data of one model version."""

    model_config = RECORD

    problem: str
    window_steps: int
    """That the calibrations are for."""
    series: dict[str, SeriesProfile]
    watches: dict[str, Watch]
    """By series, and under `POOLED` the mean over all where there are several; series too short for it have none."""
    columns: dict[Column, StoredHistogram]
    """Of each column that is rolled up, over all series."""

    def bins(self) -> dict[Column, Bins]:
        """Edges of each column, for roll-ups."""
        return {column: Bins(stored.low, stored.high) for column, stored in self.columns.items()}

    def mean_changes(self) -> dict[str, float]:
        """Mean absolute one-step change of each series, the unit of MASE."""
        return {name: series.mean_change for name, series in self.series.items()}


def profile_model(model: Answering, panel: DataFrame[Panel], problem: Problem, limits: Monitoring) -> Profile:
    """The profile of a model in its own training data, of the series that it forecasts.

    Args:
        problem: As the model was trained on it.
        limits: The window, for which thresholds are calibrated.
    """
    design = build_design(panel, problem)
    is_wanted = np.array([problem.is_forecast(name) for name in design.series_ids])
    # Also where a series stood still, as live ones do at times: only what comes anew is drift.
    is_known = design.is_ready & np.isfinite(design.targets).all(axis=1)
    rows = np.flatnonzero(is_known & is_wanted[design.series])
    steps = replay_steps(design, rows, model.quantiles(design, rows), problem)
    return build_profile(panel, steps, problem, limits)


def build_profile(
    panel: DataFrame[Panel], steps: Steps, problem: Problem, limits: Monitoring, seed: int = 0
) -> Profile:
    """The profile of training data, with thresholds calibrated on them; a second for each long series.

    Args:
        panel: The training snapshot's panel.
        steps: The model's own forecasts at the snapshot's origins, as `replay_steps` gives them.
        limits: The window.
        seed: Fixes the resampling.
    """
    values = measure_columns(steps, problem)
    series = {
        str(name): _describe_series(rows, problem) for name, rows in panel[~panel["is_filled"]].groupby("series_id")
    }
    tracks = split_tracks(steps, values)
    watches = {}
    for k, (name, track) in enumerate(pool_tracks(tracks, {n: t.means() for n, t in tracks.items()}).items()):
        known = series.get(name) or max(series.values(), key=lambda each: each.steps_per_year)
        watch = _calibrate(track, limits.window_steps, known.steps_per_year, np.random.default_rng([seed, k]))
        if watch is not None:
            watches[name] = watch
    columns = {
        column: StoredHistogram.of(count_values(value, choose_bins(value)))
        for column, value in values.items()
        if np.isfinite(value).any()
    }
    return Profile(
        problem=problem.name, window_steps=limits.window_steps, series=series, watches=watches, columns=columns
    )


def replay_steps(design: Design, rows: Ints, quantiles: Floats, problem: Problem) -> Steps:
    """The steps of forecasts that a model makes in training data, beside what came true.

    Args:
        rows: Origins, all of whose targets were observed, shape (n,).
        quantiles: Of the changes from them, shape (n, H, K).
    """
    horizon = design.horizon
    targets = rows[:, None] + np.arange(1, horizon + 1)
    level = design.level[rows]
    target = np.exp if problem.transform == "log" else np.asarray

    def each(values: np.ndarray) -> np.ndarray:
        return np.repeat(values, horizon, axis=0)

    return Steps(
        series_ids=design.series_ids,
        series=each(design.series[rows]),
        model_version=np.zeros(len(rows) * horizon, dtype=np.int64),
        origin_utc=each(design.timestamp_utc[rows]),
        target_utc=design.timestamp_utc[targets].ravel(),
        horizon=np.tile(np.arange(1, horizon + 1), len(rows)),
        origin_value=each(target(level)),
        ewma_deviation=each(design.ewma_deviation[rows]),
        quantiles=target(level[:, None, None] + quantiles).reshape(-1, quantiles.shape[-1]),
        actual=target(design.level[targets]).ravel(),
    )


def longest_run(values: Floats) -> int:
    """Most values in a row that are the same; 0 of none.

    >>> longest_run(np.array([1.0, 2.0, 2.0, 2.0, 1.0]))
    3
    """
    if len(values) == 0:
        return 0
    heads = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    return int(np.diff(np.r_[heads, len(values)]).max())


def measure_changes(target: Floats, numbers: Ints, problem: Problem) -> Floats:
    """Absolute change of the level from each observed step to the next, for one step, shape (n - 1,).

    Args:
        target: Shape (n,).
        numbers: Of the steps on the grid, ascending, shape (n,); a change grows with the root of a gap.
    """
    level = np.log(target) if problem.transform == "log" else target
    changes: Floats = np.abs(np.diff(level)) / np.sqrt(np.diff(numbers))
    return changes


def _describe_series(rows: pd.DataFrame, problem: Problem) -> SeriesProfile:
    times = rows["timestamp_utc"].to_numpy(dtype="datetime64[us]")
    numbers = place_on_grid(times, problem).numbers
    changes = measure_changes(rows["target"].to_numpy(dtype=float), numbers, problem)
    span = (times[-1] - times[0]) / np.timedelta64(1, "us") / (YEAR / pd.Timedelta(microseconds=1))
    return SeriesProfile(
        n_rows=len(rows),
        first_utc=pd.Timestamp(times[0], tz="UTC").to_pydatetime(),
        last_utc=pd.Timestamp(times[-1], tz="UTC").to_pydatetime(),
        minimum=float(rows["target"].min()),
        maximum=float(rows["target"].max()),
        missing_ratio=1 - len(rows) / float(numbers[-1] - numbers[0] + 1),
        steps_per_year=(len(rows) - 1) / span if span > 0 else 1.0,
        mean_change=float(changes.mean()) if len(changes) else 0.0,
        largest_change=float(changes.max()) if len(changes) else 0.0,
        longest_run=longest_run(rows["target"].to_numpy(dtype=float)),
    )


def _calibrate(track: Track, window: int, steps_per_year: float, rng: np.random.Generator) -> Watch | None:
    finite = {column: values[np.isfinite(values)] for column, values in track.values.items()}
    if min(len(values) for values in finite.values()) < LEAST_WINDOWS * window:
        return None
    changes = finite.pop(Column.STANDARDISED_CHANGE)
    reference = count_values(changes, choose_bins(changes))
    ks, wasserstein = calibrate_shapes(changes, reference, window, steps_per_year, rng)
    return Watch(
        n_values=len(changes),
        changes=StoredHistogram.of(reference),
        ks=ks,
        wasserstein=wasserstein,
        levels={column: calibrate_level(values, window, steps_per_year) for column, values in finite.items()},
        means=track.means(),
    )
