"""What the network sees: causal to the last bit, and never across a gap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.errors import DataRefusedError
from loopcast.features import build_design, window_rows
from loopcast.sections.data import Columns, Covariate, Ohlc
from tests.panels import make_panel, make_panel_problem
from tests.plain_features import measure_features

PRICES = Ohlc(open="open", high="high", low="low", close="close")
COVARIATES = (Covariate(column="volume", transform="log"), Covariate(column="mood"))
COLUMNS = Columns(timestamp="day", target="price", series_id="name")


def make_gappy_panel(seed: int, n_series: int) -> pd.DataFrame:
    """Prices with ranges and covariates, of which some are unknown, some steps filled and some missing."""
    rng = np.random.default_rng(seed)
    panel = make_panel(n_series=n_series, n_steps=int(rng.integers(3, 160)), seed=seed, has_ranges=True)
    panel["covariate_volume"] = rng.lognormal(size=len(panel)) * rng.choice(
        [1.0, 0.0, np.nan], len(panel), p=[0.9, 0.05, 0.05]
    )
    panel["covariate_mood"] = 20 + rng.normal(size=len(panel)).round(1)
    for name in ("range_variance", "overnight_change", "covariate_mood"):
        panel[name] = panel[name].mask(rng.random(len(panel)) < 0.1)
    panel["is_filled"] = rng.random(len(panel)) < 0.05
    gap = rng.random(len(panel)) < rng.choice([0.0, 0.02, 0.1])
    return panel[~gap].reset_index(drop=True)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 2]),
    st.sampled_from(
        [
            {"columns": COLUMNS},
            {"columns": COLUMNS.model_copy(update={"ohlc": PRICES, "covariates": COVARIATES})},
            {"transform": "none", "columns": COLUMNS.model_copy(update={"covariates": COVARIATES})},
            {"quality": {"bridge_steps": 1}, "features": {"scales": [1, 3], "decay": 0.7}},
        ]
    ),
)
def test_features_are_those_of_plain_pandas(seed, n_series, keys):
    """Whatever is missing, all segments at once give what a loop over the segments gives."""
    problem = make_panel_problem(**keys)
    panel = make_gappy_panel(seed, n_series)

    design = build_design(panel, problem)

    expected = measure_features(panel, problem)
    np.testing.assert_allclose(design.scale, expected.pop("scale"), rtol=1e-11)
    assert design.feature_names == tuple(expected.columns)
    np.testing.assert_allclose(design.inputs, expected.fillna(0.0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cut", [100, 333])
def test_the_future_changes_nothing_before_it(cut):
    """Other values from some day on leave every earlier feature, scale and flag the same to the last bit."""
    columns = COLUMNS.model_copy(update={"ohlc": PRICES, "covariates": (Covariate(column="volume"),)})
    problem = make_panel_problem(columns=columns)
    panel = make_panel(n_series=3, has_ranges=True)
    panel = panel.assign(covariate_volume=np.random.default_rng(1).uniform(1, 2, len(panel)))
    after = panel["timestamp_utc"] > panel["timestamp_utc"].iloc[cut]
    other = panel.copy()
    other.loc[after, ["target", "range_variance", "covariate_volume"]] *= 3.7
    other.loc[after, "overnight_change"] -= 0.4

    before, changed = build_design(panel, problem), build_design(other, problem)

    rows = np.flatnonzero(~after)
    for name in ("inputs", "scale", "level", "change", "is_ready", "calendar"):
        assert np.array_equal(getattr(before, name)[rows], getattr(changed, name)[rows], equal_nan=True), name
    ends = before.target_end_utc[rows] <= before.timestamp_utc[cut]
    assert np.array_equal(before.targets[rows[ends]], changed.targets[rows[ends]], equal_nan=True)


def test_a_filled_step_is_neither_origin_nor_target():
    """A value that was made up by filling is never forecast from and never counted as truth."""
    problem = make_panel_problem(frequency="D")
    panel = make_panel(n_series=1)
    panel["timestamp_utc"] = pd.date_range("2015-01-01", periods=len(panel), tz="UTC").astype("datetime64[us, UTC]")
    panel.loc[200, "is_filled"] = True

    design = build_design(panel, problem)

    assert not design.is_ready[200]
    assert not design.is_origin[[197, 198, 199]].any()
    assert design.is_origin[[196, 201]].all()


def test_nothing_crosses_a_long_gap():
    """Behind a gap that is too long to bridge a series starts anew: features warm up, targets end."""
    problem = make_panel_problem()
    panel = make_panel(n_series=1, n_steps=400)
    panel.loc[200:, "timestamp_utc"] += pd.Timedelta(weeks=8)

    design = build_design(panel, problem)

    assert design.segments.tolist() == [[0, 199], [200, 399]]
    assert design.position[[199, 200]].tolist() == [199, 0]
    assert design.change[200] == 0
    assert np.isnan(design.targets[199]).all()
    assert not design.is_ready[200:266].any()


def test_a_constant_series_gives_finite_features():
    """A feed that never moves divides nothing by zero."""
    panel = make_panel(n_series=1).assign(target=42.0)

    design = build_design(panel, make_panel_problem())

    assert np.isfinite(design.inputs).all()
    assert (design.targets[design.is_origin] == 0).all()


def test_what_stands_still_is_forecast_and_not_trained_on():
    """Of a series that has stopped any interval holds all; among origins it would narrow those of the others."""
    problem = make_panel_problem(features={"scales": [1, 5]})
    panel = make_panel(n_series=2, n_steps=60)
    panel.loc[(panel["series_id"] == "S1") & (panel.index % 60 >= 30), "target"] = 100.0

    design = build_design(panel, problem)

    assert design.is_ready[65:].all()
    assert np.flatnonzero(design.is_origin).tolist() == [*range(5, 57), *range(65, 95)]


def test_targets_are_changes_in_units_of_scale():
    """A target is the change to its step over the scale that was known at the origin."""
    panel = make_panel(n_series=2)
    design = build_design(panel, make_panel_problem())
    row = 700

    expected = (design.level[row + 2] - design.level[row]) / (design.scale[row] * np.sqrt(2))

    assert design.targets[row, 1] == pytest.approx(expected)
    assert design.changes(np.array([row]))[0, 1] == pytest.approx(design.level[row + 2] - design.level[row])


def test_calendar_patterns_count_the_steps_ahead():
    """The shares of weekdays over the next steps are those that one counts by hand."""
    problem = make_panel_problem(time_zone="UTC")
    design = build_design(make_panel(n_series=1), problem)
    friday = int(np.flatnonzero(pd.DatetimeIndex(design.timestamp_utc).dayofweek == 4)[30])

    shares = design.calendar_patterns[design.calendar[friday]]

    assert shares[0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(shares[2], [1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0], rtol=1e-6)


def test_true_changes_are_never_clipped():
    """However far a value jumps behind a frozen stretch, what came true is what it is judged by."""
    panel = make_panel(n_series=1)
    panel.loc[100:300, "target"] = 50.0
    panel.loc[301:, "target"] = 400.0

    design = build_design(panel, make_panel_problem())

    assert abs(design.targets[300]).max() <= 50
    assert design.changes(np.array([300]))[0, 0] == pytest.approx(np.log(8))


def test_features_depend_on_the_problem_and_not_on_the_panel():
    """A panel of one series, or with more columns, gives the features that the model was trained on."""
    problem = make_panel_problem()

    many = build_design(make_panel(n_series=3), problem)
    one = build_design(make_panel(n_series=1, has_ranges=True), problem)

    assert one.feature_names == many.feature_names
    assert one.inputs.shape[1] == many.inputs.shape[1]


def test_a_panel_without_a_needed_column_is_refused_by_name():
    """The sentence names what is missing, and what is there."""
    columns = COLUMNS.model_copy(update={"covariates": (Covariate(column="volume"),)})

    with pytest.raises(DataRefusedError, match=r"lacks covariate_volume, found series_id"):
        build_design(make_panel(), make_panel_problem(columns=columns))


def test_the_naive_deviation_knows_the_past_changes_alone():
    """It is what the EWMA baseline takes for the next change, whatever the ranges of the steps say."""
    problem = make_panel_problem(columns=COLUMNS.model_copy(update={"ohlc": PRICES}))
    design = build_design(make_panel(n_series=1, n_steps=120, has_ranges=True), problem)

    squares = pd.Series(design.change[1:] ** 2)

    expected = np.sqrt(squares.ewm(alpha=1 - problem.features.decay).mean())
    np.testing.assert_allclose(design.ewma_deviation[1:], expected, rtol=1e-11)
    assert design.ewma_deviation[0] == 1e-15


def test_the_window_of_an_early_row_repeats_its_head():
    """A window never reaches into the segment before."""
    design = build_design(make_panel(n_series=2, n_steps=200), make_panel_problem())

    assert window_rows(design, np.array([201, 399]), 4).tolist() == [[200, 200, 200, 201], [396, 397, 398, 399]]
