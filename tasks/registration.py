"""The tasks that write a challenger into the registry, and clear up behind a training that failed."""

from datetime import timedelta
from pathlib import Path

from flytekit import Resources, task
from flytekit.types.directory import FlyteDirectory
from flytekit.types.error.error import FlyteError
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import Explanation, OriginLosses
from loopcast.evidence.account import Evidence, SnapshotFacts
from tasks.alerts import tell_workflow_failure
from tasks.faults import retry_transient_faults
from tasks.identity import describe_execution
from tasks.stores import open_stores


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def register_challenger(
    problem: Problem,
    snapshot: SnapshotFacts,
    models: FlyteDirectory,
    run_id: str,
    evidence: Evidence,
    losses: DataFrame[OriginLosses],
    explanation: DataFrame[Explanation],
) -> int:
    """Register the offered candidate with its evidence, and return its version; a retry finds the same one."""
    from loopcast.health.profile import profile_model
    from loopcast.model.folder import load_forecaster
    from loopcast.stores.profiles import name_profile

    stores = open_stores()
    run = stores.registry.resume_run(run_id)
    run.log_scores({each.name: each.score for each in evidence.candidates})
    run.log_frame("losses", losses)
    run.log_frame("explanation", explanation)
    panel = stores.artifacts.get_snapshot(snapshot.sha256)
    folder = Path(models.download()) / evidence.offered
    forecaster, _ = load_forecaster(folder)
    profile = profile_model(forecaster, panel, problem, problem.monitoring)
    run.log_text(name_profile(problem.monitoring), profile.model_dump_json())
    return stores.registry.register(run, folder, panel, snapshot.last_utc).version


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def close_failed_runs(config: Problem, tuning_trials: int = 0, err: FlyteError | None = None) -> None:
    """Tell of a failed training, and mark what it left open: nothing in the registry looks alive that is not."""
    stores = open_stores()
    error = "" if err is None else err.message
    tell_workflow_failure("training", {"config": config}, error)
    stores.registry.fail_open_runs(config.name, error, describe_execution(stores.settings).name)
