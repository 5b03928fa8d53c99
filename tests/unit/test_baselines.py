"""Each rival against its definition, written out by hand."""

import numpy as np
import pytest
from scipy.stats import norm

from loopcast.features import build_design
from loopcast.model.baselines import Ewma, Har, HistoricalSimulation, RandomWalk
from loopcast.model.garch import GarchT, filter_variance, fit_garch
from loopcast.model.split import split_for_service
from loopcast.model.stretch import MAX_LOG_STRETCH
from tests.panels import make_panel, make_panel_problem

PROBLEM = make_panel_problem()
DESIGN = build_design(make_panel(n_series=2, n_steps=600), PROBLEM)
SPLIT = split_for_service(DESIGN, PROBLEM)
LEVELS = np.array(PROBLEM.quantiles)


def test_the_random_walk_spreads_with_the_square_root_of_time():
    """Its quantiles are those of a normal variable with the series' past deviation."""
    row = np.array([550])
    past = SPLIT.fit[(DESIGN.series[SPLIT.fit] == 0)]

    found = RandomWalk.fit(DESIGN, SPLIT, PROBLEM).quantiles(DESIGN, row)

    expected = DESIGN.change[past].std() * np.sqrt([1, 2, 3])[:, None] * norm.ppf(LEVELS)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)


def test_historical_simulation_repeats_the_series_own_changes():
    """Its quantiles are those of the last changes over the same horizon, none later than the origin."""
    rows = np.array([100, 599, 700])

    found = HistoricalSimulation.fit(DESIGN, SPLIT, PROBLEM).quantiles(DESIGN, rows)

    for i, row in enumerate(rows):
        head = row - DESIGN.position[row]
        for h in (1, 3):
            moves = [DESIGN.level[t] - DESIGN.level[t - h] for t in range(head + h, row + 1)][-500:]
            np.testing.assert_allclose(found[i, h - 1], np.quantile(moves, LEVELS), rtol=1e-9)


def test_ewma_follows_the_recursion():
    """Its deviation is the recursive one once the start has faded."""
    variance = 0.0
    for t in range(1, 500):
        variance = 0.94 * variance + 0.06 * DESIGN.change[t] ** 2

    found = Ewma.fit(DESIGN, SPLIT, PROBLEM).quantiles(DESIGN, np.array([499]))

    np.testing.assert_allclose(found[0, 0], np.sqrt(variance) * norm.ppf(LEVELS), rtol=1e-6)


def test_garch_filters_as_arch_does():
    """The recursion here gives the conditional variances that `arch` reports for its own fit."""
    from arch import arch_model

    changes = DESIGN.change[1:600] / DESIGN.change[1:600].std()
    parameters = fit_garch(changes)
    fitted = arch_model(changes, mean="Constant", p=1, q=1, dist="t", rescale=False).fit(disp="off")

    found = filter_variance(changes, parameters)

    np.testing.assert_allclose(found[200:-1], fitted.conditional_volatility[201:] ** 2, rtol=1e-3)


def test_garch_forecasts_do_not_depend_on_their_neighbours():
    """An origin's quantiles are the same alone and among others."""
    model = GarchT.fit(DESIGN, SPLIT, PROBLEM)
    rows = np.array([300, 590, 900])

    together = model.quantiles(DESIGN, rows)

    assert np.array_equal(together[1:2], model.quantiles(DESIGN, rows[1:2]))
    assert (np.diff(together, axis=-1) > 0).all()


def test_garch_serves_a_series_it_was_not_fitted_on():
    """A new series takes the median parameters of those it was fitted on."""
    model = GarchT.fit(DESIGN, SPLIT, PROBLEM)
    stranger = build_design(make_panel(n_series=1, seed=9).assign(series_id="NEW"), PROBLEM)

    found = model.quantiles(stranger, np.array([400]))

    width = found[0, 0, -1] - found[0, 0, 0]
    assert 1 < width / stranger.change.std() < 10


def test_garch_serves_short_series_in_their_own_units():
    """Where no series is long enough to fit, or is new, intervals are as wide as its own changes call for."""
    panel = make_panel(n_series=3, n_steps=90)
    for k, size in enumerate([1e-6, 1.0, 1e6]):
        panel.loc[panel["series_id"] == f"S{k}", "target"] *= size
    problem = make_panel_problem(transform="none", training={"validation_steps": 10})
    design = build_design(panel, problem)
    known = build_design(panel[panel["series_id"] != "S2"], problem)
    model = GarchT.fit(known, split_for_service(known, problem), problem)

    found = model.quantiles(design, np.array([80, 170, 260]))

    widths = found[:, 0, -1] - found[:, 0, 0]
    deviations = np.array([design.change[design.series == code].std() for code in range(3)])
    assert (widths / deviations > 2).all()
    assert (widths / deviations < 8).all()


@pytest.mark.parametrize("seed", [2, 6, 7])
def test_a_garch_fit_is_never_worse_than_independent_shocks(seed):
    """Of changes that are mostly zero the search may come back with a mean of thousands, and call it a maximum."""
    rng = np.random.default_rng(seed)
    changes = np.diff(rng.poisson(3, 1151) * (rng.random(1151) < 0.15)).astype(float)

    mean, omega, *_ = fit_garch(changes / changes.std())

    assert abs(mean) < 0.2
    assert omega < 1.5


def test_har_widens_when_recent_variance_is_high():
    """A coming variance regressed on the past ones follows them up."""
    model = Har.fit(DESIGN, SPLIT, PROBLEM)
    rows = np.flatnonzero(DESIGN.is_origin & (DESIGN.series == 0))
    widths = np.ptp(model.quantiles(DESIGN, rows)[:, 0], axis=1)

    recent = np.sqrt(np.convolve(DESIGN.change[:600] ** 2, np.ones(5) / 5)[rows])

    assert np.corrcoef(widths, recent)[0, 1] > 0.7


def test_har_does_not_extrapolate_what_is_mostly_zero():
    """Behind a pause, the logarithm of a variance says little; intervals stay within what may be stretched."""
    rng = np.random.default_rng(0)
    sales = rng.poisson(3, 1200) * (rng.random(1200) < 0.15)
    problem = make_panel_problem(transform="none")
    design = build_design(make_panel(n_series=2, n_steps=600).assign(target=sales.astype(float)), problem)
    rows = np.flatnonzero(design.is_ready)
    model = Har.fit(design, split_for_service(design, problem), problem)

    found = model.quantiles(design, rows)

    stretch = np.ptp(found, axis=-1) / design.step_scale(rows) / np.ptp(model.baseline, axis=-1)
    assert np.exp(-MAX_LOG_STRETCH) * (1 - 1e-9) <= stretch.min()
    assert stretch.max() <= np.exp(MAX_LOG_STRETCH) * (1 + 1e-9)


@pytest.mark.parametrize("cls", [RandomWalk, HistoricalSimulation, Ewma, GarchT, Har])
def test_every_rival_gives_ascending_finite_quantiles(cls):
    """No rival crosses its quantiles or leaves a hole at any ready row."""
    rows = np.flatnonzero(DESIGN.is_ready)

    found = cls.fit(DESIGN, SPLIT, PROBLEM).quantiles(DESIGN, rows)

    assert found.shape == (len(rows), 3, len(LEVELS))
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()


def test_historical_simulation_never_reads_another_series():
    """At the head of a series, where few changes of a long horizon exist, none is taken from the series before."""
    problem = make_panel_problem(horizon=10, features={"scales": [1, 2]})
    panel = make_panel(n_series=2, n_steps=400)
    panel.loc[panel["series_id"] == "S1", "target"] *= 1e6
    design = build_design(panel, problem)

    found = HistoricalSimulation(LEVELS).quantiles(design, np.array([402, 405]))

    assert np.abs(found).max() < 1
