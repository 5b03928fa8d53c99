"""The tasks of the search for better training settings: open a study, run its trials anywhere, take the best."""

from datetime import timedelta
from typing import NamedTuple

from flytekit import Resources, task

from loopcast.config import Problem
from loopcast.evidence.account import SnapshotFacts
from loopcast.features import build_design
from loopcast.stores.studies import open_study, run_logged_trial
from tasks.faults import retry_transient_faults
from tasks.identity import name_attempt
from tasks.stores import open_stores


class Study(NamedTuple):
    """A study on the shared PostgreSQL, and the numbers of the trials to run in it."""

    name: str
    trials: list[int]


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def plan_trials(problem: Problem, n_trials: int) -> Study:
    """Open a study whose first trial is the present configuration."""
    from loopcast.model.tuning import present_parameters

    stores = open_stores()
    name = f"{problem.name}/{name_attempt(stores.settings)}"
    open_study(stores.database, name, first_parameters=present_parameters(problem))
    return Study(name, list(range(n_trials)))


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(hours=1), interruptible=True)
@retry_transient_faults
def run_trial(trial: int, problem: Problem, snapshot: SnapshotFacts, study: str) -> float:
    """The validation loss of the settings tried, NaN for a trial that was pruned; logged as an MLflow run."""
    from flytekitplugins.mlflow import mlflow_autolog

    stores = open_stores()
    design = build_design(stores.artifacts.get_snapshot(snapshot.sha256), problem)
    experiment = f"{problem.name}-tuning"
    with stores.registry.used_globally(experiment) as framework:
        run = mlflow_autolog(run_logged_trial, framework=framework, experiment_name=experiment)
        return run(open_study(stores.database, study, seed=trial), design, problem)


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def configure_best(problem: Problem, study: str, losses: list[float]) -> Problem:
    """The problem with the settings of the best trial."""
    from loopcast.model.tuning import configure

    return configure(problem, open_study(open_stores().database, study).best_params)


@task(requests=Resources(cpu="100m", mem="300Mi"))
def keep_configuration(problem: Problem) -> Problem:
    """The problem as it is: the branch of a training without tuning."""
    return problem
