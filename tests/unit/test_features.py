"""What the network sees: causal to the last bit, and never across a gap."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopcast.errors import DataRefusedError
from loopcast.features import build_design, weighted_mean
from loopcast.sections.data import Columns, Covariate, Ohlc
from tests.panels import make_panel, make_panel_problem


@given(st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3)), min_size=1, max_size=30), st.floats(0.1, 0.99))
def test_weighted_mean_equals_a_naive_loop(values, decay):
    """The filter gives what summing weights by hand gives, with unknown values left out."""
    array = np.array([np.nan if value is None else value for value in values])

    found = weighted_mean(array, decay)

    for t in range(len(array)):
        known = [k for k in range(t + 1) if np.isfinite(array[k])]
        weights = np.array([decay ** (t - k) for k in known])
        expected = (weights * array[known]).sum() / weights.sum() if known else np.nan
        np.testing.assert_allclose(found[t], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cut", [100, 333])
def test_the_future_changes_nothing_before_it(cut):
    """Other values from some day on leave every earlier feature, scale and flag the same to the last bit."""
    columns = Columns(
        timestamp="day",
        target="price",
        series_id="name",
        ohlc=Ohlc(open="open", high="high", low="low", close="close"),
        covariates=(Covariate(column="volume"),),
    )
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
    columns = Columns(timestamp="day", target="price", series_id="name", covariates=(Covariate(column="volume"),))

    with pytest.raises(DataRefusedError, match=r"lacks covariate_volume, found series_id"):
        build_design(make_panel(), make_panel_problem(columns=columns))
