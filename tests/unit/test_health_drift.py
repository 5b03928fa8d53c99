"""Drift is what the training data do not show in a year: planted shifts are found and named, the rest is quiet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopcast.health.calibration import LevelCalibration, ShapeCalibration, calibrate_level
from loopcast.health.condition import Finding, Severity
from loopcast.health.drift import Measure, measure_drift
from loopcast.health.profile import Profile, profile_model
from loopcast.health.steps import Column
from loopcast.health.watched import POOLED, Track, pool_tracks
from loopcast.model.baselines import Ewma
from tests.health_factory import LIMITS, make_profile
from tests.panels import make_panel, make_panel_problem


@pytest.fixture(scope="module")
def trained():
    """A profile of two series, and their tracks in training."""
    profile, tracks, _ = make_profile(n_series=2)
    return profile, tracks


def change_track(track, column, change):
    """The track with one column changed."""
    return Track(track.origin_utc, {**track.values, column: change(track.values[column])})


def test_the_training_data_themselves_have_not_drifted(trained):
    """No test of any series is near its threshold; all are made."""
    profile, tracks = trained
    drift = measure_drift(tracks, profile, LIMITS)

    assert not any(test.is_drifted for test in drift.tests)
    assert [test.series_id for test in drift.tests] == [POOLED] * 5 + ["S0"] * 5 + ["S1"] * 5
    assert (drift.conditions, drift.n_untested, drift.false_alarms_per_year) == ((), 0, 0.5)


@pytest.mark.parametrize(
    ("column", "change", "finding", "words"),
    [
        (Column.STANDARDISED_CHANGE, lambda v: 0 * v, Finding.CHANGES_DRIFTED, "Kolmogorov-Smirnov"),
        (Column.STANDARDISED_CHANGE, lambda v: v + 1.5, Finding.CHANGES_DRIFTED, "distributed otherwise"),
        (Column.LOG_DEVIATION, lambda v: v + np.log(5), Finding.VOLATILITY_DRIFTED, "times its level in training"),
        (
            Column.INTERVAL_WIDTH,
            lambda v: 1.3 * v,
            Finding.WIDTH_DRIFTED,
            "3.33 EWMA deviations wide, 2.56",
        ),
        (Column.MEDIAN_LOCATION, lambda v: v + 0.5, Finding.LOCATION_DRIFTED, "0.50 EWMA deviations from the last"),
    ],
)
def test_a_planted_shift_is_found_and_named(trained, column, change, finding, words):
    """In the series that has it, and in the sentence."""
    profile, tracks = trained
    drift = measure_drift({**tracks, "S1": change_track(tracks["S1"], column, change)}, profile, LIMITS)

    [condition] = [each for each in drift.conditions if each.series_id == "S1"]
    assert condition.finding is finding
    assert condition.sentence.startswith("S1: ")
    assert words in condition.sentence
    assert "S0" not in {each.series_id for each in drift.conditions}


def test_one_wild_value_is_seen_by_the_wasserstein_distance(trained):
    """A split that nobody adjusted: thirty deviations on one day."""
    profile, tracks = trained
    wild = change_track(tracks["S0"], Column.STANDARDISED_CHANGE, lambda v: np.r_[v[:-1], -30.0])
    drift = measure_drift({**tracks, "S0": wild}, profile, LIMITS)

    found = {test.measure for test in drift.tests if test.is_drifted and test.series_id == "S0"}
    assert found == {Measure.WASSERSTEIN}


def test_a_shift_too_small_to_matter_is_no_drift(trained):
    """A median that never moved and now stands a twentieth of a deviation off changes no decision."""
    profile, tracks = trained
    nudged = {n: change_track(t, Column.MEDIAN_LOCATION, lambda v: v + 0.05) for n, t in tracks.items()}

    assert measure_drift(nudged, profile, LIMITS).conditions == ()


def test_a_shift_of_all_series_is_told_of_all(trained):
    """The mean over the series drifts too, under no series' name; each series by itself stands in the report alone."""
    profile, tracks = trained
    wide = {n: change_track(t, Column.INTERVAL_WIDTH, lambda v: 1.3 * v) for n, t in tracks.items()}
    found = {each.series_id: each for each in measure_drift(wide, profile, LIMITS).conditions}

    severities = {name: each.severity for name, each in found.items()}
    assert severities == {None: Severity.ALERT, "S0": Severity.NOTICE, "S1": Severity.NOTICE}
    assert found[None].sentence.startswith(
        "All series together: the 80 % interval of the last 60 forecasts is 3.33 EWMA"
    )


def test_too_few_values_are_not_tested(trained):
    """A window that is half empty tells nothing; neither does a series that the profile does not know."""
    profile, tracks = trained
    short = {"S0": tracks["S0"].last(20), "new": tracks["S1"]}

    assert measure_drift(short, profile, LIMITS).n_untested == 3
    assert measure_drift({}, profile, LIMITS).tests == ()


def test_a_series_that_vanishes_moves_the_mean_nowhere():
    """Each series is centred before the mean is taken."""
    times = np.arange(3).astype("datetime64[D]")
    low, high = (Track(times, dict.fromkeys(Column, np.full(3, value))) for value in (1.0, 9.0))
    means = {"low": dict.fromkeys(Column, 1.0), "high": dict.fromkeys(Column, 9.0)}
    gone = Track(times[:1], {column: values[:1] for column, values in high.values.items()})

    pooled = pool_tracks({"low": low, "high": gone}, means)[POOLED]
    assert pooled.values[Column.LOG_DEVIATION].tolist() == [5, 5, 5]


def test_a_profile_knows_how_its_series_stood_still():
    """A series that stops at times is watched with its pauses, though nothing was trained on them."""
    panel, problem = make_panel(n_series=1, n_steps=700), make_panel_problem()
    panel.loc[200:400, "target"] = 100.0
    model = Ewma(problem.features.decay, np.asarray(problem.quantiles))

    profile = profile_model(model, panel, problem, LIMITS)

    assert profile.watches["S0"].n_values == 700 - 66 - problem.horizon


def test_a_profile_survives_json_and_decides_the_same(trained):
    """It is stored with the model and read again by every monitor."""
    profile, tracks = trained
    restored = Profile.model_validate_json(profile.model_dump_json())

    assert restored == profile
    assert measure_drift(tracks, restored, LIMITS) == measure_drift(tracks, profile, LIMITS)


def test_the_same_training_data_give_the_same_thresholds(trained):
    """The bootstrap is seeded."""
    assert make_profile(n_series=2)[0] == trained[0]


@given(st.floats(0.001, 0.3), st.floats(-5, 5), st.floats(0.01, 2), st.floats(1, 30))
def test_a_threshold_is_the_statistic_of_its_probability(probability, location, spread, n_years):
    """Both calibrations can be read in both directions."""
    shape = ShapeCalibration(location=location, spread=spread)
    level = LevelCalibration(
        highest=location + 1, lowest=location, high_spread=spread, low_spread=2 * spread, n_years=n_years
    )
    low, high = level.thresholds(probability)

    assert shape.yearly_probability(shape.threshold(probability)) == pytest.approx(probability)
    if probability < 2 / (n_years + 1):
        assert level.yearly_probability(high) == pytest.approx(probability)
        assert level.yearly_probability(low) == pytest.approx(probability)


def test_a_constant_level_leaves_room_for_rounding():
    """Any real departure from it is improbable, and nothing divides by zero."""
    found = calibrate_level(np.full(600, 0.25), window=60, steps_per_year=252)

    assert found.yearly_probability(0.25 + 1e-9) > 0.5
    assert found.yearly_probability(0.35) < 1e-20
