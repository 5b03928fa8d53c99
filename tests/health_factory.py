"""Judged steps, their sums and profiles with defaults, for tests of monitoring that care about one thing at a time."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from loopcast.config import Problem
from loopcast.features import build_design
from loopcast.health.profile import Profile, build_profile, replay_steps
from loopcast.health.steps import Steps, measure_columns
from loopcast.health.sums import KEYS, StepSums
from loopcast.health.watched import Track, split_tracks
from loopcast.sections.monitoring import Monitoring
from tests.panels import make_panel, make_panel_problem

START = np.datetime64("2020-01-06", "us")
DAY = np.timedelta64(1, "D")
LIMITS = Monitoring()


def make_steps(
    *changes: float,
    deviation: float = 0.01,
    bias: float = 0.0,
    stretch: float = 1.0,
    horizon: int = 1,
    series_id: str = "S0",
    version: int = 1,
    origin_value: float = 100.0,
    problem: Problem | None = None,
) -> Steps:
    """A forecast a day, all of one horizon: normal quantiles around the last value, and the change that came true.

    Args:
        changes: Of the log price over the horizon, in reaches; NaN where the actual is not known.
        bias: By which the forecast is too high, in reaches.
        stretch: By which it is too wide.
    """
    problem = problem or make_panel_problem()
    n, reach = len(changes), deviation * np.sqrt(horizon)
    shape = stretch * ndtri(np.asarray(problem.quantiles)) + bias
    origins = START + np.arange(n) * DAY
    return Steps(
        series_ids=(series_id,),
        series=np.zeros(n, dtype=np.int64),
        model_version=np.full(n, version, dtype=np.int64),
        origin_utc=origins,
        target_utc=origins + horizon * DAY,
        horizon=np.full(n, horizon, dtype=np.int64),
        origin_value=np.full(n, origin_value),
        ewma_deviation=np.full(n, deviation),
        quantiles=origin_value * np.exp(reach * np.tile(shape, (n, 1))),
        actual=origin_value * np.exp(reach * np.array(changes, dtype=float)),
    )


def make_sums(n_days: int = 40, **columns: Any) -> pd.DataFrame:
    """A series' sums of the next step, one judged step a day, as good as the baseline; columns as given."""
    defaults: dict[str, Any] = {
        "day_utc": pd.date_range("2020-01-06", periods=n_days, tz="UTC").as_unit("us"),
        "model_version": 1,
        "series_id": "S0",
        "horizon": 1,
        "n_steps": 1.0,
        "n_judged": 1.0,
        "loss": 0.003,
        "baseline_loss": 0.003,
        "loss_in_reaches": 0.3,
        "baseline_loss_in_reaches": 0.3,
        "n_covered_80": 0.8,
        "n_covered_95": 0.95,
        "absolute_error": 0.008,
        "expected_loss": 0.003,
        "expected_pending": 0.0,
        "persistence_error": 0.008,
    }
    frame = pd.DataFrame(defaults | columns).sort_values(KEYS, ignore_index=True)
    return StepSums.validate(frame)


def make_days(excess: Any, baseline: float = 0.3) -> pd.DataFrame:
    """Days as the skill CUSUM reads them, whose loss is beyond the baseline's by a share of it."""
    excess = np.asarray(excess, dtype=float)
    days = pd.date_range("2020-01-06", periods=len(excess), tz="UTC")
    return pd.DataFrame({"loss": baseline * (1 + excess), "baseline_loss": baseline}, index=days)


def make_history(n_series: int = 1, n_steps: int = 700, seed: int = 0) -> tuple[pd.DataFrame, Problem, Steps]:
    """A simulated panel, its problem, and the EWMA baseline's forecasts at every origin beside what came true."""
    panel = make_panel(n_series, n_steps, seed)
    problem = make_panel_problem()
    design = build_design(panel, problem)
    rows = np.flatnonzero(design.is_origin)
    reach = design.ewma_deviation[rows, None] * np.sqrt(np.arange(1, problem.horizon + 1))
    quantiles = reach[..., None] * ndtri(np.asarray(problem.quantiles))
    return panel, problem, replay_steps(design, rows, quantiles, problem)


def make_profile(n_series: int = 1, seed: int = 0) -> tuple[Profile, dict[str, Track], Problem]:
    """A profile of simulated training data, and the tracks of those data."""
    panel, problem, steps = make_history(n_series, seed=seed)
    profile = build_profile(panel, steps, problem, LIMITS)
    return profile, split_tracks(steps, measure_columns(steps, problem)), problem
