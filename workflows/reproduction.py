"""Proof that a model version can be rebuilt: same snapshot, code, seed and environment, same weights."""

from loopcast.evidence.account import Reproduction
from tasks.alerts import alerting_workflow
from tasks.reproduction import reproduce_version


@alerting_workflow
def reproduction(problem: str, version: int) -> Reproduction:
    """Rebuild a version bit for bit, or say what differs."""
    return reproduce_version(problem=problem, version=version)
