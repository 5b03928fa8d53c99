"""Models that are quick to make, registered in MLflow by this process or by another one that dies on the way."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from loopcast.config import Problem
from loopcast.evidence.gate import Rule, Verdict
from loopcast.features import build_design
from loopcast.model.baselines import Har
from loopcast.model.folder import save_forecaster
from loopcast.model.split import split_for_service
from loopcast.settings import Settings
from loopcast.stores.database import open_database
from loopcast.stores.decisions import DecisionStore
from loopcast.stores.lineage import Lineage
from loopcast.stores.model_version import ModelVersion
from loopcast.stores.promotion import demote, promote
from loopcast.stores.registry import Registry, open_registry
from tests.panels import make_panel, make_panel_problem

PANEL = make_panel(n_steps=300)
TRAINED_UNTIL_UTC = datetime(2016, 2, 26, tzinfo=UTC)
LINEAGE = Lineage(
    snapshot_sha256="5a" * 32,
    git_commit="c0ffee",
    is_git_dirty=True,
    actor="ada",
    environment={"python": "3.11.7", "torch": "2.13.0"},
    execution_id="a1b2c3",
    execution_url="https://flyte.example.org/a1b2c3",
)

STEPS = {
    "upload": "MlflowClient.log_artifacts",
    "version": "MlflowClient.create_model_version",
    "record": "DecisionStore.record",
    "alias": "MlflowClient.set_registered_model_alias",
    "tag": "MlflowClient.set_model_version_tag",
    "mark": "DecisionStore.mark_applied",
}
"""What is written to a store one after another, by short names."""


def save_model(problem: Problem, folder: Path, panel: pd.DataFrame = PANEL) -> str:
    """Fit the quickest candidate, write it into the folder and return the SHA-256 of its weights."""
    design = build_design(panel, problem)
    fitted = Har.fit(design, split_for_service(design, problem), problem)
    return save_forecaster(fitted, problem, folder)


def register_model(registry: Registry, name: str) -> ModelVersion:
    """A new version of the problem of this name."""
    problem = make_panel_problem(name=name)
    with TemporaryDirectory() as folder:
        save_model(problem, Path(folder) / "model")
        run = registry.start_run(problem, LINEAGE)
        version = registry.register(run, Path(folder) / "model", PANEL, TRAINED_UNTIL_UTC)
    run.finish()
    return version


def prefer_higher(version: int) -> Callable[[ModelVersion | None], Verdict]:
    """A judge for whom a version is the better, the higher its number."""

    def judge(champion: ModelVersion | None) -> Verdict:
        is_better = champion is None or version > champion.version
        reasons = () if is_better else (f"{version} is not above {champion.version}",)
        return Verdict(
            is_promoted=is_better, rule=Rule.BETTER_THAN_CHAMPION, reasons=reasons, figures={"p_value": 0.01}
        )

    return judge


def open_home(home: Path) -> Registry:
    """The registry of a work folder."""
    settings = Settings(home=home)
    return open_registry(settings, open_database(settings))


def run_elsewhere(job: Callable[..., Any], *arguments: Any) -> int:
    """Exit code of a process that runs a job; it starts quickly because it shares imports with the ones before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=job, args=arguments)
    process.start()
    process.join(300)
    if process.is_alive():
        process.terminate()
        process.join()
    return process.exitcode


def register_and_die(home: Path, name: str, step: str, when: str) -> None:
    """A training that is killed right before or right after a step of its registration."""
    registry = open_home(home)
    _die_at(step, when)
    register_model(registry, name)


def promote_and_die(home: Path, name: str, version: int, step: str, when: str) -> None:
    """A promotion that is killed right before or right after a step."""
    registry = open_home(home)
    _die_at(step, when)
    promote(registry, name, version, prefer_higher(version), actor="killed")


def demote_and_die(home: Path, name: str, step: str, when: str) -> None:
    """A rollback that is killed right before or right after a step."""
    registry = open_home(home)
    _die_at(step, when)
    demote(registry, name, "it lost its skill", actor="killed")


def _die_at(step: str, when: str) -> None:
    from mlflow import MlflowClient

    kind, name = STEPS[step].split(".")
    owner = {"MlflowClient": MlflowClient, "DecisionStore": DecisionStore}[kind]
    method = getattr(owner, name)

    def die(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            method(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, die)
