"""How a training's run opens, goes on in another process, and ends when its process could not end it."""

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import psutil

from loopcast.config import Problem
from loopcast.errors import StoreError
from loopcast.stores.lineage import Lineage
from loopcast.stores.runs import RunStatus, TrainingRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LEFT_OVER_AFTER: Final = timedelta(days=1)
"""Age at which an open run counts as dead where its process cannot be looked at; no training takes as long."""
PROCESS_TAG: Final = "process"
"""Of a run: the process that works on it."""


def start_run(client: "MlflowClient", experiment_id: str, problem: Problem, lineage: Lineage) -> TrainingRun:
    """A new run with the problem's parameters and its lineage; runs that dead processes left open are closed."""
    for run in _open_runs(client, experiment_id):
        if _is_left_over(run):
            TrainingRun(client, run.info.run_id).end(RunStatus.KILLED)
    tags = {
        **lineage.tags(),
        PROCESS_TAG: describe_process(),
        "mlflow.user": lineage.actor,
        "mlflow.source.git.commit": lineage.git_commit,
    }
    created = client.create_run(experiment_id, tags=tags, run_name=lineage.execution_id or None)
    started = TrainingRun(client, created.info.run_id)
    started.log_problem(problem)
    return started


def resume_run(client: "MlflowClient", run_id: str) -> TrainingRun:
    """A run that was started before, perhaps elsewhere, open again.

    Raises:
        StoreError: There is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.set_tag(run_id, PROCESS_TAG, describe_process())
    except MlflowException as exc:
        raise StoreError(f"{run_id}: no such run of MLflow: {exc.message}; start a training anew") from exc
    client.update_run(run_id, RunStatus.RUNNING)
    return TrainingRun(client, run_id)


def fail_open_runs(client: "MlflowClient", experiment_id: str, error: str, execution_id: str = "") -> None:
    """End as failed what an execution left open; without one, what this process left open."""
    name, owner = ("execution_id", execution_id) if execution_id else (PROCESS_TAG, describe_process())
    for run in _open_runs(client, experiment_id):
        if run.data.tags.get(name) == owner:
            TrainingRun(client, run.info.run_id).end(RunStatus.FAILED, error)


def _open_runs(client: "MlflowClient", experiment_id: str) -> list["Run"]:
    return list(client.search_runs([experiment_id], f"attributes.status = '{RunStatus.RUNNING}'"))


def _is_left_over(run: "Run") -> bool:
    """Whether nobody works on an open run of ours any more: its process is gone, or is elsewhere and it is old."""
    tag = run.data.tags.get(PROCESS_TAG)
    if tag is None:
        return False
    is_running = is_alive(tag)
    if is_running is not None:
        return not is_running
    return datetime.now(UTC) - datetime.fromtimestamp(run.info.start_time / 1000, UTC) > LEFT_OVER_AFTER


def describe_process(pid: int | None = None) -> str:
    """Host, id and start of a process, by default this one: an id alone is given again. Empty where there is none."""
    try:
        process = psutil.Process(pid)
        return f"{socket.gethostname()} {process.pid} {process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""


def is_alive(process: str) -> bool | None:
    """Whether a process that `describe_process` named still runs; None for one of another machine, or none at all."""
    host, _, rest = process.partition(" ")
    return describe_process(int(rest.partition(" ")[0])) == process if host == socket.gethostname() else None
