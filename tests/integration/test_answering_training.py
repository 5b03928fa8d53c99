"""A training that somebody asks for runs to the gate's decision, and ends with whoever asked for it."""

import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from app.queries.answering import answer_query
from app.queries.training import run_training
from loopcast.config import Problem
from loopcast.errors import LoopcastError
from loopcast.evidence.backtest import measure_losses
from loopcast.features import build_design
from loopcast.model.folder import load_forecaster
from loopcast.queries.kinds import QueryCancelledError, QueryKind
from loopcast.settings import Settings
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.opened import Stores
from loopcast.stores.promotion import promote_by_hand
from loopcast.stores.query import Query
from tests.integration.models import LINEAGE, TRAINED_UNTIL_UTC, save_model
from tests.panels import make_panel, make_panel_problem
from tests.queried import hear_nothing

PANEL = make_panel(n_steps=450)


@pytest.fixture(scope="module")
def stores(shared_home: Path) -> Stores:
    """Of the tests' machine."""
    return Stores(Settings(home=shared_home, seed_processes=1))


@pytest.fixture(scope="module")
def problem(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """A problem with a source that is quick to train on, and with a champion."""
    folder = tmp_path_factory.mktemp("source")
    source = folder / "prices.csv"
    rows = PANEL.assign(day=PANEL["timestamp_utc"].dt.strftime("%Y-%m-%d"))
    rows.rename(columns={"series_id": "name", "target": "price"})[["name", "day", "price"]].to_csv(source, index=False)
    problem = make_panel_problem(name="trained_again", source={"uri": str(source)})
    save_model(problem, folder / "model", PANEL)
    run = stores.registry.start_run(problem, LINEAGE)
    forecaster, design = load_forecaster(folder / "model")[0], build_design(PANEL, problem)
    rows = np.flatnonzero(design.is_origin)[::5]
    losses = measure_losses(design, rows, forecaster.quantiles(design, rows), problem)
    run.log_frame("losses", losses.assign(candidate="har"))
    version = stores.registry.register(run, folder / "model", PANEL, TRAINED_UNTIL_UTC)
    run.finish()
    promote_by_hand(stores.registry, problem.name, version.version, "the first", "ada")
    return problem


def find_trainings(config: str) -> list[psutil.Process]:
    """Processes that train this problem."""
    return [each for each in psutil.process_iter(["cmdline"]) if config in " ".join(each.info["cmdline"] or [])]


def wait_until_gone(config: str) -> None:
    """Return when no process trains this problem any more."""
    deadline_s = time.monotonic() + 5
    while find_trainings(config):
        assert time.monotonic() < deadline_s, "the training goes on"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_training_is_told_step_by_step_and_answers_what_the_gate_decided(stores, problem):
    """Who asked is written beside the decision; a second attempt at the query finds it, and trains nothing."""
    query = Query(
        problem=problem.name, kind=QueryKind.TRAINING, owner="id#ada", asker_name="Ada", request={"reason": "new data"},
        submitted_at_utc=datetime.now(UTC),
    ).begin(datetime.now(UTC))  # fmt: skip
    told: list[tuple[float, str]] = []

    done = answer_query(stores, query, lambda ratio, sentence: told.append((ratio, sentence)))
    later = query.interrupt("stopped", datetime.now(UTC), is_counted=False).begin(datetime.now(UTC))
    again = answer_query(stores, later, hear_nothing)

    decision = stores.decisions.history(problem.name, limit=1)[0]
    assert decision.kind in {DecisionKind.PROMOTION, DecisionKind.REJECTION}
    assert (decision.model_version, decision.actor) == ("2", "Ada")
    assert done.result["decision"]["id"] == again.result["decision"]["id"] == str(decision.id)
    assert done.result["sentence"].startswith("Version 2 was trained, and the gate")
    assert {"Training the candidates", "Asking the gate", "Writing the report"} <= {sentence for _, sentence in told}
    assert [ratio for ratio, _ in told] == sorted(ratio for ratio, _ in told)


def test_a_stop_ends_all_processes_of_a_training(stores, problem):
    """Within a second or two."""
    began_s = []

    def stop(_ratio: float, _sentence: str) -> None:
        if find_trainings("trained_again.yaml"):
            began_s.append(time.monotonic())
            raise QueryCancelledError("stopped")

    with pytest.raises(QueryCancelledError):
        run_training(problem, "6f4b3f0e", "ada", stores.settings, stop)

    assert time.monotonic() - began_s[0] < 3
    assert find_trainings("trained_again.yaml") == []


def _train(problem: Problem, settings: Settings) -> None:
    run_training(problem, "6f4b3f0e", "ada", settings, hear_nothing)


def test_a_training_ends_with_a_worker_that_is_killed(stores, problem):
    """However it ends: nobody else would end it."""
    worker = multiprocessing.get_context("spawn").Process(target=_train, args=(problem, stores.settings))
    worker.start()
    while not find_trainings("trained_again.yaml"):
        assert worker.is_alive()
        time.sleep(0.05)

    os.kill(worker.pid, signal.SIGKILL)

    worker.join()
    wait_until_gone("trained_again.yaml")


def test_a_training_that_fails_says_why(stores, problem, tmp_path):
    """As the shell would."""
    lost: dict[str, Any] = {"source": {"uri": str(tmp_path / "nothing.csv")}}
    moved = make_panel_problem(name="lost", **lost)

    with pytest.raises(LoopcastError, match=r"^the training failed: .*nothing.csv: nothing found there; give a path"):
        run_training(moved, "6f4b3f0e", "ada", stores.settings, hear_nothing)
