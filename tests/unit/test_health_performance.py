"""Skill, coverage and error are read from sums, with whatever has come true so far."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from loopcast.evidence.metrics import pinball_loss
from loopcast.health.performance import measure_performance
from loopcast.health.sums import add_sums, sum_steps
from loopcast.sections.monitoring import Monitoring
from tests.health_factory import make_history, make_steps, make_sums
from tests.panels import make_panel_problem

PROBLEM = make_panel_problem()
CHANGES = {"S0": 0.01}
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def measure(sums, as_of=LATER):
    """The performance, for series whose mean change is a hundredth."""
    return measure_performance(sums, CHANGES, due_until=as_of, horizon_days=3)


def test_figures_are_those_of_the_steps_themselves():
    """Loss, skill, coverage and MASE from sums equal the ones computed on all steps at once."""
    _, problem, steps = make_history(n_series=2)
    levels = np.asarray(problem.quantiles)
    found = measure_performance(
        sum_steps(steps, problem), {"S0": 0.01, "S1": 0.02}, due_until=LATER, horizon_days=problem.horizon
    )

    actual, quantiles = np.log(steps.actual), np.log(steps.quantiles)
    error = np.abs(actual - quantiles[:, len(levels) // 2])
    scale = np.array([0.01, 0.02])[steps.series]
    assert found.overall.loss == pytest.approx(pinball_loss(actual[:, None], quantiles[:, None], levels).mean())
    assert found.overall.skill_ratio == pytest.approx(0.0, abs=1e-9)
    assert found.overall.mase == pytest.approx((error / scale).mean())
    assert found.overall.coverage_80_ratio == pytest.approx(
        ((actual >= quantiles[:, 2]) & (actual <= quantiles[:, -3])).mean()
    )
    assert sum(each.n_judged for each in found.by_horizon.values()) == found.overall.n_judged == len(steps)
    assert found.by_series.keys() == {"S0", "S1"}


def test_sums_of_portions_are_the_sums_of_all():
    """A window is read in parts that need not fit into memory together."""
    _, problem, steps = make_history()
    is_early = steps.target_utc < np.median(steps.target_utc.astype(np.int64)).astype("datetime64[us]")

    whole, parts = sum_steps(steps, problem), [sum_steps(steps.take(m), problem) for m in (is_early, ~is_early)]
    pd.testing.assert_frame_equal(add_sums(*parts), whole)


def test_a_biased_forecast_loses_skill_and_coverage():
    """Half a deviation costs an eighth of the baseline's loss, a whole one half of it."""
    changes = np.random.default_rng(2).standard_normal(4000)
    skill = {bias: measure(sum_steps(make_steps(*changes, bias=bias), PROBLEM)) for bias in (0.0, 0.5, 1.0)}

    assert skill[0.0].overall.skill_ratio == pytest.approx(0, abs=1e-9)
    assert skill[0.5].overall.skill_ratio == pytest.approx(-0.13, abs=0.03)
    assert skill[1.0].overall.skill_ratio == pytest.approx(-0.49, abs=0.05)
    assert skill[1.0].overall.coverage_80_ratio < 0.65
    assert skill[0.5].vs_ewma.p_value > 0.999


def test_labels_that_have_not_come_are_counted_and_not_guessed():
    """Half of the steps are open; those whose day has passed are late."""
    sums = sum_steps(make_steps(1.0, 1.0, np.nan, np.nan), PROBLEM)
    found = measure(sums, as_of=datetime(2020, 1, 10, tzinfo=UTC))

    assert (found.n_steps, found.overall.n_judged, found.n_due) == (4, 2, 3)
    assert found.label_ratio == 0.5
    assert found.late_ratio == pytest.approx(1 / 3)


def test_a_day_that_a_series_did_not_have_is_not_late():
    """A holiday between two days with actuals is passed over; two days at the end are awaited."""
    is_judged = np.array([1, 1, 0, 1, 1, 1, 1, 1, 0, 0], dtype=float)
    found = measure(make_sums(10, n_judged=is_judged), as_of=datetime(2020, 2, 1, tzinfo=UTC))

    assert (found.n_steps, found.n_due) == (10, 9)
    assert found.late_ratio == pytest.approx(2 / 9)


def test_on_the_evening_behind_a_holiday_nothing_is_late():
    """What came true of the day on which the evening falls says that the holiday will bring nothing."""
    is_judged = np.array([1, 1, 0, 1], dtype=float)
    found = measure(make_sums(4, n_judged=is_judged), as_of=datetime(2020, 1, 9, tzinfo=UTC))

    assert (found.n_steps, found.n_due) == (4, 2)
    assert found.late_ratio == 0


def test_the_loss_of_open_steps_is_estimated_from_the_volatility():
    """Twice the volatility at the origins, twice the loss to come; a champion that does better than promised, less."""
    changes = np.random.default_rng(3).standard_normal(3000)
    judged = sum_steps(make_steps(*changes), PROBLEM)
    coming = sum_steps(make_steps(*np.full(5, np.nan), deviation=0.02, series_id="S1"), PROBLEM)
    found = measure(add_sums(judged, coming))

    assert found.expected_loss == pytest.approx(2 * found.overall.loss, rel=1e-6)


def test_a_window_without_labels_has_no_figures():
    """Counts of zero and figures that say so, for the window and for each part of it."""
    found = measure(sum_steps(make_steps(np.nan, np.nan), PROBLEM))

    assert (found.overall.n_judged, found.n_days, found.label_ratio, found.late_ratio) == (0, 0, 0.0, 1.0)
    assert np.isnan([found.overall.loss, found.overall.skill_ratio, found.expected_loss, found.overall.mase]).all()
    assert found.vs_ewma.t_statistic == 0


def test_a_window_without_forecasts_is_empty():
    """A day on which nothing ran."""
    found = measure(make_sums().iloc[:0])

    assert (found.n_steps, found.n_due, found.by_series, found.by_horizon) == (0, 0, {}, {})
    assert np.isnan([found.label_ratio, found.late_ratio]).all()


def test_the_tolerance_of_a_wider_interval_is_half():
    """95 % leaves less room than 80 %."""
    assert Monitoring(coverage_tolerance=0.12).tolerance(0.95) == 0.06
