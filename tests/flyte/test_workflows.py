"""Workflows run in process on real stores: every branch, what one step hands to the next, and what a failure leaves."""

from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import optuna
import pytest

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.evidence.account import TrainingOutcome
from loopcast.model.folder import load_forecaster
from loopcast.model.tuning import configure
from loopcast.sections.data import Source
from loopcast.stores.champion_cache import open_cache
from loopcast.stores.champions import open_version
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.opened import Stores
from loopcast.stores.runs import ERROR_TAG, RunStatus, TrainingRun
from tests.panels import make_panel, make_panel_problem
from workflows.training import training

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),  # flytekit's folders of checkpoints
    pytest.mark.filterwarnings("ignore:<psycopg.Connection:ResourceWarning"),  # of the pools that Optuna never closes
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]

Configure = Callable[..., Problem]

NETWORK = {"hidden_size": 4, "moves_center": True}
QUICK = {"n_seeds": 1, "max_epochs": 2, "validation_steps": 100}


@pytest.fixture(scope="module")
def make_problem(tmp_path_factory: pytest.TempPathFactory) -> Configure:
    """Problems on one CSV, with a gate that a model may pass which is about as good as the baselines."""
    rows = tmp_path_factory.mktemp("data") / "prices.csv"
    columns = {"timestamp_utc": "day", "target": "price", "series_id": "name"}
    panel = make_panel(n_series=1, n_steps=520)
    panel["target"] += 5 * np.sin(2 * np.pi * np.arange(len(panel)) / 5)  # a week's rhythm, quick to learn
    panel.rename(columns=columns)[list(columns.values())].to_csv(rows, index=False)

    def make(**changes: object) -> Problem:
        gate = {"naive_alpha": 0.49, "coverage_tolerance": 0.5, "min_dates": 60}
        return make_panel_problem(
            **{"source": Source(uri=str(rows)), "gate": gate, "training": QUICK, "network": NETWORK} | changes
        )

    return make


@pytest.fixture(scope="module")
def first(stores: Stores, make_problem: Configure) -> TrainingOutcome:
    """The first training of the problem, without tuning."""
    return training(config=make_problem())


@pytest.fixture(scope="module")
def tuned(stores: Stores, make_problem: Configure, first: TrainingOutcome) -> TrainingOutcome:
    """The second one, on the same data, with tuning, from a learning rate that is too low."""
    return training(config=make_problem(training=QUICK | {"learning_rate": 1e-4}), tuning_trials=2)


def test_a_first_model_that_passes_the_gate_is_promoted_and_reported(stores, first):
    """The branch of a gate that was passed: decision, alias, finished run and report agree."""
    champion = stores.registry.champion("prices")
    decision = stores.decisions.history("prices")[0]

    assert (first.version, first.is_promoted) == (1, True)
    assert (champion.version, champion.candidate) == (1, first.candidate)
    assert (decision.kind, decision.champion_before, decision.champion_after) == (DecisionKind.PROMOTION, None, "1")
    assert stores.registry.client.get_run(champion.run_id).info.status == RunStatus.FINISHED
    assert Path(first.report).is_relative_to(stores.settings.home_path)
    assert "<html" in Path(first.report).read_text(encoding="utf-8")


def test_a_promoted_version_is_at_hand_for_a_service_of_this_machine(stores, first):
    """Where a service looks before it asks MLflow."""
    found = open_cache(stores.settings).find("prices", first.version)

    assert found is not None
    assert found.facts.record == stores.model_versions.get("prices", first.version)
    assert open_version(found.forecaster, found.facts.record).problem.name == "prices"


def test_the_report_is_also_where_a_cluster_would_look_for_it(stores, first):
    """What a pod writes ends with it, so that there the outcome names the copy that the MLflow run keeps."""
    run = TrainingRun(stores.registry.client, stores.registry.version("prices", 1).run_id)

    kept = fsspec.filesystem("file").cat(f"{run.locate_files()}/report.html")

    assert kept == Path(first.report).read_bytes()


def test_without_tuning_the_model_is_trained_as_configured(stores, first, make_problem, tmp_path):
    """The branch that keeps the configuration."""
    _, trained_as = load_forecaster(stores.registry.fetch(stores.registry.version("prices", 1), tmp_path))

    assert trained_as == make_problem()


def test_a_challenger_that_is_not_better_is_rejected_and_the_champion_stays(stores, tuned):
    """The branch of a gate that was not passed."""
    decision = stores.decisions.history("prices")[0]

    assert (tuned.version, tuned.is_promoted) == (2, False)
    assert (decision.kind, decision.champion_after) == (DecisionKind.REJECTION, "1")
    assert stores.registry.champion("prices").version == 1
    assert stores.registry.challenger("prices").version == 2


def test_tuning_hands_the_best_settings_of_its_study_to_training(stores, tuned, make_problem, tmp_path):
    """The branch that tunes: the registered model was trained with what the best of the logged trials tried."""
    url = stores.database.sqlalchemy_url_for("optuna")
    study = optuna.load_study(study_name=None, storage=url)

    _, trained_as = load_forecaster(stores.registry.fetch(stores.registry.version("prices", 2), tmp_path))

    assert len(study.trials) == 2
    assert study.best_params["learning_rate"] > 1e-4
    assert trained_as == configure(make_problem(), study.best_params)


def test_a_training_that_fails_leaves_no_open_run(stores, make_problem):
    """The handler of failures marks the run that the training's first steps opened, with the error's sentence."""
    problem = make_problem(name="short", backtest={"initial_steps": 100_000})

    with pytest.raises(DataRefusedError, match="initial_steps"):
        training(config=problem)

    client = stores.registry.client
    (run,) = client.search_runs([client.get_experiment_by_name("short").experiment_id])
    assert run.info.status == RunStatus.FAILED
    assert "needs more than" in run.data.tags[ERROR_TAG]
    assert stores.registry.versions("short") == []
