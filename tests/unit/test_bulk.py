"""In bulk a network gives the quantiles that it gives one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopcast.errors import ModelRefusedError
from loopcast.features import Design, build_design
from loopcast.model.baselines import Ewma
from loopcast.model.bulk import BLOCK_ORIGINS, BulkNetworks, speed_up
from loopcast.model.folder import SavedForecaster, digest_forecaster, save_forecaster
from loopcast.model.residual import Linear, Lstm
from loopcast.model.served import open_served_model
from loopcast.typing import Floats, Ints
from tests.networks import make_residual, save_network
from tests.panels import make_panel, make_panel_problem

MAX_ERROR_SCALES = 1e-5
PANEL = make_panel(n_series=3, n_steps=320)
PROBLEM = make_panel_problem()


def differ(found: Floats, expected: Floats, design: Design, rows: Ints) -> float:
    """The largest difference, in scales."""
    return float((np.abs(found - expected) / design.step_scale(rows)[..., None]).max())


def test_in_bulk_a_network_answers_as_the_service_does(tmp_path):
    """The graph of the online service and the bulk evaluation agree to a hundred-thousandth of a scale."""
    save_network(tmp_path, PANEL, PROBLEM)
    design = build_design(PANEL, PROBLEM)
    rows, served = np.flatnonzero(design.is_ready), open_served_model(tmp_path)

    bulk = speed_up(served, tmp_path, design, rows)

    assert isinstance(bulk.answering, BulkNetworks)
    assert differ(bulk.quantiles(design, rows), served.quantiles(design, rows), design, rows) < MAX_ERROR_SCALES


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from([Lstm, Linear]),
    hidden_size=st.integers(1, 9),
    moves_center=st.booleans(),
    calendar=st.sampled_from([(), ("day_of_week",), ("day_of_week", "month")]),
    n_rows=st.sampled_from([0, 1, BLOCK_ORIGINS, BLOCK_ORIGINS + 1]),
    seed=st.integers(0, 1000),
)
def test_in_bulk_a_network_answers_as_pytorch_does(kind, hidden_size, moves_center, calendar, n_rows, seed):
    """Whatever the shape of the network, with and without a calendar, for any rows in any order, blocks or not."""
    problem = make_panel_problem(
        features={"calendar": calendar},
        network={"hidden_size": hidden_size, "moves_center": moves_center},
    )
    design = build_design(PANEL, problem)
    forecaster = make_residual(design, problem, kind, seed, spread=0.6)
    saved = SavedForecaster(kind.candidate, problem, *forecaster.state(), digest_forecaster(forecaster))
    rows = np.random.default_rng(seed).choice(np.flatnonzero(design.is_ready), n_rows)

    found = BulkNetworks.of(saved).quantiles(design, rows)

    assert found.shape == (n_rows, problem.horizon, len(problem.quantiles))
    assert n_rows == 0 or differ(found, forecaster.quantiles(design, rows), design, rows) < MAX_ERROR_SCALES


def test_a_formula_is_fast_as_it_is(tmp_path):
    """What has no network stays what it was."""
    save_forecaster(Ewma(0.94, np.asarray(PROBLEM.quantiles)), PROBLEM, tmp_path)
    design = build_design(PANEL, PROBLEM)
    served = open_served_model(tmp_path)

    assert speed_up(served, tmp_path, design, np.flatnonzero(design.is_ready)) is served


def test_a_network_that_answers_otherwise_in_bulk_is_refused(tmp_path):
    """Weights of another model in the folder are noticed before a forecast is made with them."""
    for seed in (1, 2):
        save_network(tmp_path / f"model-{seed}", PANEL, PROBLEM, seed=seed)
    design = build_design(PANEL, PROBLEM)
    served = open_served_model(tmp_path / "model-1")

    with pytest.raises(ModelRefusedError, match="differs from its graph"):
        speed_up(served, tmp_path / "model-2", design, np.flatnonzero(design.is_ready))
