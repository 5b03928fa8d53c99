"""The tasks that make a challenger: fit every candidate, judge them in a walk forward, and explain the best."""

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from flytekit import Resources, current_context, task
from flytekit.types.directory import FlyteDirectory
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import Explanation, LearningCurves, OriginLosses, Track
from loopcast.evidence.account import Evidence, SnapshotFacts
from loopcast.stores.lineage import read_lineage
from tasks.checkpoints import open_checkpoints
from tasks.faults import retry_transient_faults
from tasks.identity import describe_execution
from tasks.stores import open_stores


class Trained(NamedTuple):
    """Fitted candidates, a folder each, and the MLflow run that remembers how they were reached."""

    models: FlyteDirectory
    curves: DataFrame[LearningCurves]
    run_id: str


class Backtested(NamedTuple):
    """What the walk forward showed."""

    losses: DataFrame[OriginLosses]
    track: DataFrame[Track]
    evidence: Evidence


@task(requests=Resources(cpu="2", mem="4Gi"), retries=3, timeout=timedelta(hours=2), interruptible=True)
@retry_transient_faults
def train_candidates(problem: Problem, snapshot: SnapshotFacts) -> Trained:
    """Fit every candidate for service; a preempted training goes on from its checkpoint."""
    from loopcast.model.processes import start_process_server

    start_process_server()  # it imports while this process does
    from loopcast.model.fitting import fit_for_service, save_candidates

    stores = open_stores()
    settings, context = stores.settings, current_context()
    panel = stores.artifacts.get_snapshot(snapshot.sha256)
    lineage = read_lineage(settings, snapshot.sha256, *describe_execution(settings))
    with (
        stores.registry.start_run(problem, lineage) as run,
        run.measure_system(),
        open_checkpoints(context.checkpoint) as checkpoints,
    ):
        fitted = fit_for_service(panel, problem, settings.seed_processes, checkpoints)
        run.log_curves(fitted.curves)
        folder = Path(context.working_directory) / "models"  # Flyte takes it from there
        save_candidates(fitted, panel, problem, folder)
    return Trained(FlyteDirectory(str(folder)), DataFrame[LearningCurves](fitted.curves), run.run_id)


@task(requests=Resources(cpu="2", mem="4Gi"), retries=3, timeout=timedelta(hours=4))
@retry_transient_faults
def backtest_candidates(problem: Problem, snapshot: SnapshotFacts) -> Backtested:
    """Judge every candidate as it would have served, refitted now and then, never seeing ahead."""
    from loopcast.evidence.backtest import backtest_panel

    stores = open_stores()
    panel = stores.artifacts.get_snapshot(snapshot.sha256)
    result = backtest_panel(panel, problem, stores.settings.seed_processes)
    return Backtested(DataFrame[OriginLosses](result.losses), DataFrame[Track](result.track), result.evidence)


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(hours=1))
@retry_transient_faults
def explain_offer(
    problem: Problem, snapshot: SnapshotFacts, models: FlyteDirectory, evidence: Evidence
) -> DataFrame[Explanation]:
    """Tell which features, how long ago, move the intervals of the offered candidate; no rows for a plain formula."""
    from loopcast.model.explanation import explain_forecaster
    from loopcast.model.folder import load_forecaster

    panel = open_stores().artifacts.get_snapshot(snapshot.sha256)
    forecaster, _ = load_forecaster(Path(models.download()) / evidence.offered)
    return DataFrame[Explanation](explain_forecaster(forecaster, panel, problem))
