"""The tasks that decide which version is in service, each decision a row with its figures."""

from datetime import timedelta
from typing import NamedTuple

from flytekit import Resources, task
from pandera.typing import DataFrame

from loopcast.config import Problem
from loopcast.contracts import OriginLosses
from loopcast.evidence.account import SnapshotFacts
from loopcast.evidence.gate import Verdict
from loopcast.stores.decisions import Decision
from tasks.faults import retry_transient_faults
from tasks.identity import name_actor
from tasks.stores import open_stores


class Judged(NamedTuple):
    """What the gate says, and the plain bool on which the workflow branches."""

    verdict: Verdict
    is_better: bool


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def judge_challenger(
    problem: Problem, snapshot: SnapshotFacts, version: int, losses: DataFrame[OriginLosses]
) -> Judged:
    """Ask the gate about a version, against the champion of this moment."""
    from loopcast.stores.contest import open_contest

    stores = open_stores()
    contest = open_contest(stores, problem, snapshot, version, losses)
    verdict = contest.judge(stores.registry.champion(problem.name))
    return Judged(verdict, verdict.is_promoted)


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def promote_challenger(
    problem: Problem, snapshot: SnapshotFacts, version: int, losses: DataFrame[OriginLosses]
) -> Decision:
    """Put a version into service under the lock, unless the champion of that moment is not beaten."""
    from loopcast.stores.contest import open_contest
    from loopcast.stores.fetching import keep_version
    from loopcast.stores.promotion import promote

    stores = open_stores()
    contest = open_contest(stores, problem, snapshot, version, losses)
    keep_version(stores, problem.name, version)
    return promote(stores.registry, problem.name, version, contest.judge, name_actor(stores.settings))


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def reject_challenger(problem: Problem, version: int, verdict: Verdict) -> Decision:
    """Write down that a version was judged and not let into service, and why."""
    from loopcast.stores.promotion import reject

    stores = open_stores()
    return reject(stores.registry, problem.name, version, verdict, name_actor(stores.settings))


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def demote_champion(
    problem: str, reason: str, to_version: int | None = None, from_version: int | None = None
) -> Decision:
    """Put an earlier version back into service; by default the one that the champion replaced."""
    from loopcast.stores.promotion import demote

    stores = open_stores()
    actor = name_actor(stores.settings)
    return demote(stores.registry, problem, reason, actor, to_version=to_version, from_version=from_version)
