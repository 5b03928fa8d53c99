"""Roll-ups hold what their steps held, in whatever order and portions those came."""

import numpy as np
import pytest

from loopcast.forecasts import Forecasts, ForecastSource
from loopcast.health.histogram import N_BINS, Bins, choose_bins
from loopcast.health.rollup import merge_rollups, pack_counts, roll_up, unpack_counts
from loopcast.health.steps import Column, measure_columns, pair_steps
from tests.health_factory import make_history, make_steps
from tests.panels import make_panel_problem

PROBLEM = make_panel_problem()


def bins_for(values):
    """Edges of each column that has a value."""
    return {column: choose_bins(value) for column, value in values.items() if np.isfinite(value).any()}


def test_portions_in_any_order_add_up_to_the_whole():
    """A second run of later labels adds to the hours that were there."""
    _, problem, steps = make_history()
    values = measure_columns(steps, problem)
    bins = bins_for(values)
    is_first = np.random.default_rng(0).random(len(steps)) < 0.4
    parts = []
    for mask in (is_first, ~is_first):
        parts += roll_up(steps.take(mask), {column: value[mask] for column, value in values.items()}, bins)

    whole, merged = merge_rollups(roll_up(steps, values, bins)), merge_rollups(reversed(parts))
    assert whole.keys() == merged.keys() == {(0, column) for column in Column}
    for key, histogram in whole.items():
        assert (histogram.counts == merged[key].counts).all()
        assert histogram.total == pytest.approx(merged[key].total)


def test_a_column_is_rolled_up_in_its_own_hour():
    """What is known at the origin there, what waits for the actual at the target; no hour without a value."""
    steps = make_steps(0.5, np.nan)
    values = measure_columns(steps, PROBLEM)
    found = {(each.column, str(each.hour_utc)): each.histogram.n for each in roll_up(steps, values, bins_for(values))}

    assert found[Column.LOG_DEVIATION, "2020-01-06T00"] == 1
    assert found[Column.INTERVAL_WIDTH, "2020-01-07T00"] == 1
    assert found[Column.PINBALL, "2020-01-07T00"] == 1
    assert (Column.PINBALL, "2020-01-08T00") not in found


def test_columns_are_in_units_that_all_series_share():
    """A forecast that is the baseline has its width, its place and its loss, whatever the price and the volatility."""
    calm = measure_columns(make_steps(0.5, -3.0, deviation=0.001), PROBLEM)
    wild = measure_columns(make_steps(0.5, -3.0, deviation=0.1, origin_value=7.0), PROBLEM)

    for column in Column:
        if column is not Column.LOG_DEVIATION:
            assert wild[column] == pytest.approx(calm[column], abs=1e-9)
    assert calm[Column.INTERVAL_WIDTH] == pytest.approx([2.563, 2.563], abs=1e-3)
    assert calm[Column.MEDIAN_LOCATION] == pytest.approx([0, 0], abs=1e-9)
    assert calm[Column.IS_COVERED_95].tolist() == [1.0, 0.0]
    assert calm[Column.PINBALL] == pytest.approx(calm[Column.BASELINE_PINBALL])


def test_a_series_that_stands_still_is_judged_by_nothing():
    """Without a deviation there is no unit: every column is missing, and no warning is given."""
    values = measure_columns(make_steps(0.0, deviation=1e-15), PROBLEM)

    assert all(np.isnan(value).all() for value in values.values())


def test_steps_of_forecasts_stand_beside_their_actuals():
    """One step for each horizon, in order."""
    forecasts = Forecasts(
        problem="prices",
        model_version=4,
        source=ForecastSource.BATCH,
        ids=np.zeros(2, dtype="V16"),
        series_ids=np.array(["b", "a"], dtype=object),
        origin_utc=np.array(["2020-01-06", "2020-01-06"], dtype="datetime64[us]"),
        origin_value=np.array([10.0, 20.0]),
        ewma_deviation=np.array([0.1, 0.2]),
        target_utc=np.array([["2020-01-07", "2020-01-08"]] * 2, dtype="datetime64[us]"),
        quantiles=np.arange(12.0).reshape(2, 2, 3),
        features_digest=np.zeros(2, dtype="V16"),
        issued_at_utc=np.datetime64("2020-01-06", "us").item(),
        request_id="r",
    )
    steps = pair_steps(forecasts, np.array([[11.0, np.nan], [21.0, 22.0]]))

    assert [steps.series_ids[code] for code in steps.series] == ["b", "b", "a", "a"]
    assert steps.horizon.tolist() == [1, 2, 1, 2]
    assert steps.quantiles[1].tolist() == [3.0, 4.0, 5.0]
    assert steps.actual[2:].tolist() == [21.0, 22.0]


def test_counts_survive_being_packed():
    """To the last one; other bytes are refused with what was found."""
    counts = np.zeros(N_BINS, dtype=np.int64)
    counts[[3, 2047]] = [1, 10**12]

    assert (unpack_counts(pack_counts(counts)) == counts).all()
    assert len(pack_counts(counts)) < 150
    with pytest.raises(ValueError, match="found 5 counts"):
        unpack_counts(pack_counts(counts[:5]))


def test_no_steps_make_no_rollup():
    """An hour in which nothing was forecast leaves nothing behind."""
    steps = make_steps()

    assert roll_up(steps, measure_columns(steps, PROBLEM), dict.fromkeys(Column, Bins(0.0, 1.0))) == []
