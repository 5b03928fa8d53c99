"""A day's monitoring with defaults, on simulated data, for tests of what is shown and kept of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from loopcast.health.drift import measure_drift
from loopcast.health.performance import measure_performance
from loopcast.health.quality import Intake, assess_quality
from loopcast.health.report_account import Event, MonitoringAccount, pair_columns
from loopcast.health.rollup import merge_rollups, roll_up
from loopcast.health.shadow import judge_shadow
from loopcast.health.skill_cusum import average_days, start_skill, watch_skill
from loopcast.health.steps import measure_columns
from loopcast.health.sums import sum_steps
from loopcast.health.verdict import reach_verdict
from loopcast.health.watched import split_tracks
from tests.health_factory import LIMITS, make_history, make_profile

N_DAYS = 120
"""Days of forecasts that an account covers."""


def make_account(*, bias: float = 0.0, stretch: float = 1.0, **changes: Any) -> MonitoringAccount:
    """The last days of the simulated training data, as if they had been forecast live.

    Args:
        bias: By which forecasts were too high, in reaches.
        stretch: By which volatility rose against training.
        changes: Fields of the account.
    """
    return replace(_make_account(bias, stretch), **changes)


def make_empty_account() -> MonitoringAccount:
    """A day on which nothing came in and nothing was forecast."""
    account = make_account()
    panel, problem, steps = make_history(2)
    profile, _, _ = make_profile(2)
    nothing = steps.take(np.zeros(len(steps), dtype=bool))
    sums, start = sum_steps(nothing, problem), start_skill(np.asarray(problem.quantiles))
    quality = assess_quality(panel[:0], Intake(), profile, problem, LIMITS, as_of=account.as_of)
    drift = measure_drift({}, profile, LIMITS)
    performance = measure_performance(sums, {}, due_until=account.as_of, horizon_days=problem.horizon)
    skill = watch_skill(start, average_days(sums), LIMITS)
    verdict = reach_verdict(quality, drift, performance, skill, None, LIMITS)
    return replace(
        account, quality=quality, drift=drift, performance=performance, skill=skill, shadow=None, verdict=verdict,
        columns={}, events=(),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _make_account(bias: float, stretch: float) -> MonitoringAccount:
    panel, problem, steps = make_history(2)
    profile, _, _ = make_profile(2)
    last = steps.target_utc.max()
    as_of = pd.Timestamp(last, tz="UTC").to_pydatetime() + timedelta(hours=22)
    live = steps.take(steps.origin_utc > last - np.timedelta64(N_DAYS, "D"))
    shift = np.exp(bias * live.ewma_deviation * np.sqrt(live.horizon))[:, None]
    live = replace(
        live,
        quantiles=live.quantiles * shift,
        ewma_deviation=live.ewma_deviation * stretch,
        model_version=np.full(len(live), 4),
        actual=np.where(live.target_utc > last - np.timedelta64(1, "D"), np.nan, live.actual),
    )
    values = measure_columns(live, problem)
    sums, start = sum_steps(live, problem, values), start_skill(np.asarray(problem.quantiles))
    before = sum_steps(replace(live, quantiles=live.quantiles / shift, model_version=np.full(len(live), 3)), problem)
    quality = assess_quality(panel, Intake(n_rows=400, n_refused=1), profile, problem, LIMITS, as_of=as_of)
    drift = measure_drift(split_tracks(live, values), profile, LIMITS)
    performance = measure_performance(sums, profile.mean_changes(), due_until=as_of, horizon_days=problem.horizon)
    skill = watch_skill(start, average_days(sums), LIMITS)
    shadow = judge_shadow(sums, before, start, LIMITS, horizon_days=problem.horizon)
    trained = {column: stored.restore() for column, stored in profile.columns.items()}
    return MonitoringAccount(
        problem=problem,
        limits=LIMITS,
        model_version=4,
        as_of=as_of,
        since_utc=pd.Timestamp(live.origin_utc.min(), tz="UTC").to_pydatetime(),
        quality=quality,
        drift=drift,
        performance=performance,
        skill=skill,
        shadow=shadow,
        verdict=reach_verdict(quality, drift, performance, skill, shadow, LIMITS),
        columns=pair_columns(merge_rollups(roll_up(live, values, profile.bins())), trained, 4),
        events=(
            Event(datetime(2022, 1, 3, 22, 1, tzinfo=UTC), "promoted", "Version 4, 2.1 % better than version 3"),
            Event(datetime(2021, 11, 8, 22, 1, tzinfo=UTC), "alert raised", "S0: <volatility> over the last 60 steps"),
        ),
    )
