"""How often monitoring errs, by simulation: unchanged series, biased forecasts, and a champion as good as the last one.

Returns have fat tails and clustered volatility; forecasts are the EWMA baseline's, with an error of their own that
lasts, as a model's has.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.special import ndtri

from benchmarks.bench_alarms import simulate_garch
from loopcast.features import build_design
from loopcast.health.drift import measure_drift
from loopcast.health.profile import build_profile, replay_steps
from loopcast.health.shadow import judge_shadow
from loopcast.health.skill_cusum import average_days, start_skill, watch_skill
from loopcast.health.steps import Steps, measure_columns
from loopcast.health.sums import sum_steps
from loopcast.health.watched import Track, split_tracks
from loopcast.sections.monitoring import Monitoring
from loopcast.typing import Floats
from tests.panels import make_panel_problem

LIMITS = Monitoring()
PROBLEM = make_panel_problem()
LEVELS = np.asarray(PROBLEM.quantiles)
YEAR = 252


def simulate_steps(seed: int, n_years: int, error_sd: float = 0.08, bias: float = 0.0) -> tuple[pd.DataFrame, Steps]:
    """A panel, and forecasts whose width errs by a persistent share and whose median is off by a bias in deviations."""
    rng = np.random.default_rng(seed)
    target = 100 * np.exp(simulate_garch(n_years * YEAR, 0.07, 0.91, 5.0, rng).cumsum())
    days = pd.bdate_range("2000-01-03", periods=len(target), tz="UTC").as_unit("us")
    panel = pd.DataFrame({"series_id": "S0", "timestamp_utc": days, "target": target, "is_filled": False})
    design = build_design(panel, PROBLEM)
    rows = np.flatnonzero(design.is_origin)
    error = lfilter([error_sd * np.sqrt(1 - 0.9**2)], [1, -0.9], rng.standard_normal(len(rows)))
    reach = design.ewma_deviation[rows, None] * np.sqrt(np.arange(1, PROBLEM.horizon + 1))
    shape = np.exp(error)[:, None, None] * ndtri(LEVELS) + bias
    return panel, replay_steps(design, rows, reach[..., None] * shape, PROBLEM)


def daily_losses(steps: Steps) -> pd.DataFrame:
    """As the CUSUM reads them."""
    return average_days(sum_steps(steps.take(steps.horizon == 1), PROBLEM))


def count_drift_alarms(seed: int) -> int:
    """Alarms in the year that follows five years of training, windows that overlap counting once."""
    panel, steps = simulate_steps(seed, n_years=6)
    begin = panel["timestamp_utc"].iloc[5 * YEAR].tz_localize(None).to_datetime64()
    known = panel[panel["timestamp_utc"] < pd.Timestamp(begin, tz="UTC")]
    profile = build_profile(known, steps.take(steps.target_utc < begin), PROBLEM, LIMITS)
    whole = split_tracks(steps, measure_columns(steps, PROBLEM))["S0"]
    first, last, n_alarms = int(np.searchsorted(whole.origin_utc, begin)), -YEAR, 0
    for n in range(first + 1, len(whole.origin_utc), 2):
        seen = Track(whole.origin_utc[:n], {column: values[:n] for column, values in whole.values.items()})
        if measure_drift({"S0": seen}, profile, LIMITS).conditions:
            n_alarms += n - last > LIMITS.window_steps
            last = n
    return n_alarms


def measure_delays(bias: float) -> Floats:
    """Days from the first biased forecast to the trigger, infinite where half a year is not enough."""
    delays = []
    for seed in range(40):
        _, steps = simulate_steps(seed, n_years=2, bias=bias * (-1) ** seed)
        days = daily_losses(steps).iloc[-126:]
        watch = watch_skill(start_skill(LEVELS), days, LIMITS)
        delays.append(watch.days.index(watch.triggers[0]) + 1 if watch.triggers else np.inf)
    return np.array(delays)


@pytest.mark.slow
def test_unchanged_series_raise_no_more_drift_alarms_than_stated():
    """Thirty years in which nothing changes, volatility clustering and all."""
    alarms = [count_drift_alarms(seed) for seed in range(30)]

    assert np.mean(alarms) <= LIMITS.false_alarms_per_year


def test_an_unbiased_model_is_never_retrained():
    """Sixty years of a forecaster that is a little worse than the baseline."""
    triggers = [
        watch_skill(start_skill(LEVELS), daily_losses(simulate_steps(seed, n_years=12)[1]), LIMITS).triggers
        for seed in range(5)
    ]

    assert triggers == [()] * 5


@pytest.mark.parametrize(("bias", "median_days"), [(1.0, 5), (0.5, 20)])
def test_a_bias_is_found_in_time(bias, median_days):
    """A deviation within a week, half of one within a month, all within half a year."""
    delays = measure_delays(bias)

    assert np.median(delays) <= median_days
    assert delays.max() <= 126


@pytest.mark.slow
def test_an_equally_good_champion_is_seldom_rolled_back():
    """Asked every other day of a year, it is called worse in at most one year of twelve."""
    n_worse = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        _, steps = simulate_steps(seed, n_years=1, error_sd=0.0)
        sums = [sum_steps(widen(steps, rng, 0.08), PROBLEM) for _ in range(2)]
        days = sums[0]["day_utc"].unique()
        n_worse += any(
            judge_shadow(
                *(each[each["day_utc"] <= day] for each in sums),
                start_skill(LEVELS),
                LIMITS,
                horizon_days=PROBLEM.horizon,
            ).is_worse
            for day in days[5::2]
        )

    assert n_worse <= 2


def widen(steps: Steps, rng: np.random.Generator, sd: float) -> Steps:
    """The forecasts with a width that errs on its own, for a while each time."""
    n = len(steps) // PROBLEM.horizon
    error = np.repeat(lfilter([sd * np.sqrt(1 - 0.9**2)], [1, -0.9], rng.standard_normal(n)), PROBLEM.horizon)
    changes = np.log(steps.quantiles / steps.origin_value[:, None]) * np.exp(error)[:, None]
    return Steps(**(vars(steps) | {"quantiles": steps.origin_value[:, None] * np.exp(changes)}))
