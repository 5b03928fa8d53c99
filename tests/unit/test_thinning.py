"""Which tested times of a large panel are scored."""

import numpy as np
import pandas as pd
import pytest

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.evidence.thinning import count_allowed, number_steps, thin_folds
from loopcast.features import build_design
from loopcast.model.split import split_walk_forward
from tests.panels import make_panel, make_panel_problem

PANEL = make_panel(n_steps=900)
START = PANEL["timestamp_utc"].min()


def keep_origins(panel: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """Series and time of the tested origins that remain."""
    design = build_design(panel, problem)
    rows = np.concatenate([fold.test for fold in thin_folds(split_walk_forward(design, problem), design, problem)])
    return pd.DataFrame({"name": np.array(design.series_ids)[design.series[rows]], "time": design.timestamp_utc[rows]})


def keep_times(panel: pd.DataFrame, problem: Problem) -> set[np.datetime64]:
    """The tested times that remain."""
    return set(keep_origins(panel, problem)["time"])


def keep_series(panel: pd.DataFrame, problem: Problem) -> set[str]:
    """The series of which tested origins remain."""
    return set(keep_origins(panel, problem)["name"])


@pytest.mark.parametrize(
    "other",
    [
        PANEL[PANEL["timestamp_utc"] >= START + pd.Timedelta(days=17)],
        PANEL[PANEL["timestamp_utc"] < PANEL["timestamp_utc"].max() - pd.Timedelta(days=3)],
    ],
    ids=["starts later", "ends earlier"],
)
def test_panels_of_other_lengths_keep_the_same_times(other):
    """So a challenger's losses can be paired with those that its champion brought from an earlier training."""
    problem = make_panel_problem(backtest={"refit_steps": 150, "max_origins": 250})
    kept, kept_of_other = keep_times(PANEL, problem), keep_times(other.reset_index(drop=True), problem)

    first, last = max(min(kept), min(kept_of_other)), min(max(kept), max(kept_of_other))

    assert len(kept) > 30
    assert {t for t in kept if first <= t <= last} == {t for t in kept_of_other if first <= t <= last}


def test_a_smaller_allowance_keeps_some_of_the_same_times():
    """Each halving drops every second time and moves none, so a growing panel stays comparable with itself."""
    many, few = (
        keep_times(PANEL, make_panel_problem(backtest={"refit_steps": 150, "max_origins": n}, gate={"min_dates": 10}))
        for n in (400, 100)
    )

    assert few < many
    assert len(many) / len(few) == pytest.approx(4, rel=0.15)


MANY = make_panel(n_series=30, n_steps=600)
SMALL = {"backtest": {"refit_steps": 150, "max_origins": 1500}, "gate": {"min_dates": 60}}


def test_a_panel_of_many_series_keeps_dates_enough_for_the_gate():
    """Halving the times alone would leave a gate that asks for more than that, and so promotes nothing, ever."""
    kept = keep_origins(MANY, make_panel_problem(**SMALL))

    assert len(kept) <= 1500
    assert kept["time"].nunique() >= 2 * 60
    assert kept["name"].nunique() > 5
    assert (kept.groupby("time")["name"].nunique() == kept["name"].nunique()).all()


def test_panels_of_other_lengths_keep_the_same_series():
    """Also where a few series have come or gone, nearly all that were kept are kept again."""
    problem = make_panel_problem(**SMALL)
    kept = keep_series(MANY, problem)

    longer = keep_series(MANY[MANY["timestamp_utc"] < MANY["timestamp_utc"].max()].reset_index(drop=True), problem)
    fewer = keep_series(MANY[~MANY["series_id"].isin(["S1", "S2"])].reset_index(drop=True), problem)

    assert longer >= kept or kept >= longer
    assert len(fewer & kept) >= len(kept) - 2


def test_the_series_that_are_forecast_are_kept_before_others():
    """A report draws them."""
    lot = keep_series(MANY, make_panel_problem(**SMALL))
    named = sorted({f"S{k}" for k in range(30)} - lot)[:2]

    kept = keep_series(MANY, make_panel_problem(**SMALL, forecast_series=named))

    assert kept >= set(named)


def test_a_panel_within_the_allowance_keeps_every_time():
    """Nothing is dropped without need."""
    problem = make_panel_problem()
    design = build_design(PANEL, problem)
    folds = split_walk_forward(design, problem)

    thinned = thin_folds(folds, design, problem)

    assert [fold.test.tolist() for fold in thinned] == [fold.test.tolist() for fold in folds]


def test_a_long_horizon_lowers_the_allowance():
    """Seven candidates, thirteen quantiles and a year of steps are 266 kB an origin; all of them fit in 0.54 GB."""
    short, long = make_panel_problem(), make_panel_problem(horizon=366, quality={"min_rows": 999},
                                                           training={"validation_steps": 400})  # fmt: skip

    assert (count_allowed(short), count_allowed(long)) == (100_000, 2014)


@pytest.mark.parametrize(
    ("frequency", "zone"),
    [("B", "UTC"), ("D", "Europe/Zurich"), ("h", "Europe/Zurich"), ("6h", "UTC"), ("W-MON", "UTC"), ("MS", "UTC")],
)
def test_steps_are_counted_one_by_one_whatever_the_first(frequency, zone):
    """The count of a time is the same in every panel that holds it."""
    problem = make_panel_problem(frequency=frequency, time_zone=zone)
    times = pd.date_range("2024-03-01", periods=60, freq=frequency, tz=zone).tz_convert("UTC").tz_localize(None)
    steps = times.to_numpy(dtype="datetime64[us]")

    numbers = number_steps(steps, problem)

    assert (np.diff(numbers) == 1).all()
    assert number_steps(steps[7:], problem).tolist() == numbers[7:].tolist()


def test_no_tested_origin_is_refused_in_one_sentence():
    """The sentence names the key that asks for more history than there is."""
    problem = make_panel_problem(backtest={"min_history_steps": 5000})
    design = build_design(PANEL, problem)

    with pytest.raises(DataRefusedError, match="prices: no series has 5000 steps before a tested block"):
        thin_folds(split_walk_forward(design, problem), design, problem)
