"""Track records from sums: what plain counting says, what a curve may show, and what is not claimed."""

import numpy as np
import pandas as pd
import pytest

from loopcast.health.steps import measure_columns
from loopcast.health.sums import sum_steps
from loopcast.health.track_record import LEAST_DAYS, MAX_POINTS, SUMMED, TRAILING_DAYS, sum_up_track
from tests.health_factory import make_steps
from tests.panels import make_panel_problem


def make_rows(n_days: int, **columns) -> pd.DataFrame:
    """Sums of one judged step a day of one version and horizon, as good as what costs nothing; columns as given."""
    defaults = {
        "day_utc": pd.date_range("2020-01-06", periods=n_days, tz="UTC"),
        "model_version": 1,
        "horizon": 1,
        "n_steps": 1.0,
        "n_judged": 1.0,
        "loss": 0.003,
        "baseline_loss": 0.003,
        "n_covered_80": 0.8,
        "n_covered_95": 0.95,
        "n_compared": 1.0,
        "absolute_error": 0.008,
        "persistence_error": 0.008,
    }
    return pd.DataFrame(defaults | columns)


def test_sums_of_steps_hold_the_error_of_the_last_value():
    """Persistence errs by what the level changed, whatever was forecast; a step without an actual errs by nothing."""
    problem = make_panel_problem()
    steps = make_steps(1.0, -2.0, float("nan"), deviation=0.01, horizon=4, problem=problem)

    sums = sum_steps(steps, problem, measure_columns(steps, problem))

    assert sums["persistence_error"].tolist() == pytest.approx([0.02, 0.04, 0.0])


def test_a_track_record_is_what_plain_counting_says():
    """Each figure, overall and by key, is that of the rows it covers."""
    rng = np.random.default_rng(4)
    rows = pd.concat(
        [
            make_rows(40, horizon=h, model_version=v, loss=rng.uniform(1, 2, 40), n_steps=2.0, n_covered_80=0.5 * h)
            for h in (1, 2)
            for v in (3, 4)
        ]
    )

    found = sum_up_track(rows, 2)

    for figures, part in (
        (found.overall, rows),
        (found.by_horizon[2], rows[rows["horizon"] == 2]),
        (found.by_version[3], rows[rows["model_version"] == 3]),
    ):
        assert (figures.n_steps, figures.n_judged, figures.n_pending) == (2 * len(part), len(part), len(part))
        assert figures.loss == pytest.approx(part["loss"].mean())
        assert figures.skill_ratio == pytest.approx(1 - part["loss"].sum() / part["baseline_loss"].sum())
        assert figures.coverage_80_ratio == pytest.approx(part["n_covered_80"].mean())
    assert set(found.by_horizon) == {1, 2}
    assert set(found.by_version) == {3, 4}


def test_nothing_is_said_of_nothing():
    """No rows, or none that came true: counts of zero, figures that are not known, no curve."""
    nothing = sum_up_track(make_rows(0), 1)
    pending = sum_up_track(make_rows(30, **dict.fromkeys(SUMMED, 0.0) | {"n_steps": 3.0}), 1)

    for found, n_steps in ((nothing, 0), (pending, 90)):
        assert (found.curve.day_utc, found.curve.n_judged, found.curve.skill_ratio) == ([], [], [])
        assert found.overall.model_dump() == {
            "n_steps": n_steps, "n_judged": 0, "n_pending": n_steps, "loss": None, "skill_ratio": None,
            "coverage_80_ratio": None, "coverage_95_ratio": None, "absolute_error": None, "persistence_error": None,
            "error_ratio": None,
        }  # fmt: skip
        assert (found.vs_ewma.gain_ratio, found.vs_ewma.p_value, found.vs_ewma.n_days) == (None, 0.5, 0)


def test_errors_are_those_of_steps_of_which_both_are_known():
    """Days from before persistence's error was kept count for coverage, and not for the comparison."""
    rows = make_rows(2, n_judged=[1.0, 1.0], n_compared=[0.0, 1.0], absolute_error=[0.0, 0.9], persistence_error=[0, 1])

    found = sum_up_track(rows, 2).overall

    assert (found.n_judged, found.absolute_error, found.persistence_error) == (2, 0.9, 1.0)
    assert found.error_ratio == pytest.approx(0.9)


def test_a_point_of_the_curve_covers_a_quarter():
    """Its figures are those of the last judged days up to it; days on which nothing was judged do not count."""
    n_covered = np.r_[np.ones(199 - TRAILING_DAYS), np.zeros(TRAILING_DAYS - 1), 1.0, 0.0]
    rows = make_rows(200, n_covered_80=n_covered, n_judged=np.r_[np.ones(199), 0.0])

    curve = sum_up_track(rows, 2).curve

    assert curve.day_utc[-1] == rows["day_utc"].iloc[198].to_pydatetime()
    assert curve.n_judged[-1] == 1
    assert curve.coverage_80_ratio[-2:] == [pytest.approx(1 / TRAILING_DAYS)] * 2
    assert curve.coverage_80_ratio[0] == 1


@pytest.mark.parametrize(
    ("n_days", "n_points"), [(LEAST_DAYS - 1, 0), (LEAST_DAYS, 1), (200, 180), (MAX_POINTS + LEAST_DAYS, 184)]
)
def test_a_curve_begins_late_and_stays_short(n_days, n_points):
    """A few days would begin it with noise; of long ones every second day is shown, the last among them."""
    curve = sum_up_track(make_rows(n_days), 1).curve

    assert len(curve.day_utc) == len(curve.error_ratio) == n_points
    assert sum(curve.n_judged) == (n_days if n_points else 0)


def test_a_gain_is_told_apart_from_chance():
    """Clear of the days' noise it has a small p; hidden in it, a large one."""
    noise = np.random.default_rng(0).normal(0, 0.001, 200)
    sure = sum_up_track(make_rows(200, loss=0.002 + noise / 10), 1)
    unsure = sum_up_track(make_rows(200, absolute_error=0.00799 + noise), 1)

    assert sure.vs_ewma.p_value < 0.001
    assert sure.vs_ewma.gain_ratio == pytest.approx(1 / 3, abs=0.02)
    assert 0.05 < unsure.vs_persistence.p_value < 0.95


def test_days_overlap_by_the_reach_in_days_and_not_by_steps():
    """Six weeks tell a gain of forecasts two days ahead, also where those are 48 hours."""
    noise = np.random.default_rng(0).normal(0, 0.0001, 42)

    found = sum_up_track(make_rows(42, horizon=48, loss=0.002 + noise), horizon_days=3)

    assert found.vs_ewma.p_value < 0.001
