"""One archive to serve a model version from, wherever neither registry nor artifact store is."""

from loopcast.stores.baking import Package
from tasks.alerts import alerting_workflow
from tasks.packaging import package_version


@alerting_workflow
def packaging(problem: str, version: int = 0) -> Package:
    """Package a version, the champion by default, and prove it in a clean environment."""
    return package_version(problem=problem, version=version)
