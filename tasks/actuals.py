"""The task that remembers what came true, from the same source as training."""

from datetime import timedelta

from flytekit import Resources, task

from loopcast.config import Problem
from loopcast.evidence.account import SnapshotFacts
from loopcast.stores.actuals import ActualsChange, ActualStore
from tasks.faults import retry_transient_faults
from tasks.stores import open_stores


@task(requests=Resources(cpu="500m", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def record_actuals(problem: Problem, snapshot: SnapshotFacts) -> ActualsChange:
    """Store the observed steps of a snapshot as actuals, and keep what a corrected one was before."""
    stores = open_stores()
    return ActualStore(stores.database).record(problem.name, stores.artifacts.get_snapshot(snapshot.sha256))
