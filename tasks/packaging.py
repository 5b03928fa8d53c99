"""The task that makes one model version a Bento, and lets nobody have it that does not answer as the model does."""

import sys
from datetime import timedelta

from flytekit import Resources, task

from loopcast.stores.baking import Package
from tasks.faults import retry_transient_faults
from tasks.stores import open_stores


@task(requests=Resources(cpu="2", mem="4Gi", ephemeral_storage="4Gi"), retries=3, timeout=timedelta(hours=1))
@retry_transient_faults
def package_version(problem: str, version: int = 0) -> Package:
    """Bake, build and prove a version, the champion by default, and tell where its archive is and how to serve it."""
    from bento.packaging import package_version as package
    from loopcast.stores.failures import tell_success

    stores = open_stores()
    found = package(stores, problem, version or None)
    tell_success(stores, problem, "packaging")
    sys.stdout.write(f"\n{found.explain()}\n")
    return found
