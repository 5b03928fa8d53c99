"""The task that rebuilds a model version from what its lineage names, to the last bit."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from flytekit import Resources, task

from loopcast.evidence.account import Reproduction
from tasks.faults import retry_transient_faults
from tasks.stores import open_stores


@task(requests=Resources(cpu="2", mem="4Gi"), retries=3, timeout=timedelta(hours=2))
@retry_transient_faults
def reproduce_version(problem: str, version: int) -> Reproduction:
    """Train a version again from its snapshot; refuse, naming the differences, when other weights come out."""
    from loopcast.stores.failures import tell_success
    from loopcast.stores.reproduction import reproduce

    stores = open_stores()
    with TemporaryDirectory(prefix="loopcast-reproduction-") as folder:
        found = reproduce(stores, stores.registry.version(problem, version), Path(folder))
    tell_success(stores, problem, "reproduction")
    return found
