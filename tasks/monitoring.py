"""The tasks of a day's monitoring: take in what came, judge the champion, report, tell people, and act."""

import sys
from datetime import datetime, timedelta
from typing import NamedTuple

from flytekit import Deck, Resources, task
from flytekit.types.error.error import FlyteError

from loopcast.config import Problem
from loopcast.errors import SourceError
from loopcast.evidence.account import TrainingOutcome
from loopcast.stores.acting import (
    ActionOutcome,
    Claim,
    claim_next,
    end_training,
    has_training_told,
    release_claims,
    roll_back,
)
from loopcast.stores.monitoring import JudgedDay, MonitoringOutcome, TakenIn, judge, take_in
from tasks.alerts import tell_workflow_failure
from tasks.faults import is_transient, retry_transient_faults
from tasks.identity import describe_execution, find_reports, is_local, name_actor, name_attempt
from tasks.stores import open_stores


class Claimed(NamedTuple):
    """What this run is to carry out, and the plain bools on which the workflow branches."""

    claim: Claim
    is_rollback: bool
    is_training: bool


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def take_in_data(problem: Problem) -> TakenIn:
    """Keep what the source gives as snapshot and actuals; that it gives nothing is a finding, and no failure."""
    from loopcast.panel import build_panel
    from loopcast.stores.sources import read_source

    stores = open_stores()
    lenient = problem.model_copy(update={"forecast_series": ()})  # a series that is missing is found later, and told
    try:
        ingest = build_panel(read_source(problem), lenient)
    except SourceError as exc:
        if is_transient(exc):
            raise
        return take_in(stores, problem, str(exc), name_attempt(stores.settings))
    return take_in(stores, lenient, ingest, name_attempt(stores.settings))


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def judge_champion(problem: Problem, taken: TakenIn, as_of: datetime) -> JudgedDay:
    """Hold data, forecasts and skill of the window against the training, and remember what is called for."""
    return judge(open_stores(), problem, taken, as_of)


@task(
    requests=Resources(cpu="1", mem="2Gi"),
    retries=3,
    timeout=timedelta(minutes=30),
    enable_deck=True,
    deck_fields=(),
)
@retry_transient_faults
def report_day(problem: Problem, judged: JudgedDay) -> str:
    """Write the report of the day to the work folder, Evidently and the deck, and return where it lies."""
    from loopcast.stores.monitoring_report import write_day

    stores = open_stores()
    page = write_day(stores, problem, judged, find_reports(stores.settings, problem.name) / "monitoring")
    if page is None:
        return ""
    Deck("Monitoring", page.read_text(encoding="utf-8"))
    return str(page) if is_local() else ""  # a pod's work folder ends with the pod; the deck and Evidently keep it


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def tell_people(judged: JudgedDay, report: str) -> int:
    """Tell people what is new and what is over, and return how many conditions are open."""
    from loopcast.stores.telling import tell_day

    stores = open_stores()
    return tell_day(stores, judged, report or describe_execution(stores.settings).url)


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def claim_action(problem: Problem) -> Claimed:
    """Take on the action that is due, if there is one and nobody else is at it."""
    stores = open_stores()
    execution = describe_execution(stores.settings).name
    claim = claim_next(stores, problem.name, execution)
    return Claimed(claim, claim.is_rollback, claim.is_training)


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def roll_champion_back(claim: Claim) -> ActionOutcome:
    """Put the version before the champion back into service, with the evidence."""
    stores = open_stores()
    return roll_back(stores, claim, name_actor(stores.settings))


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def close_training(claim: Claim, outcome: TrainingOutcome) -> ActionOutcome:
    """Write down what came of the training."""
    return end_training(open_stores(), claim, outcome)


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
def leave_champion(claim: Claim) -> ActionOutcome:
    """Do nothing."""
    return ActionOutcome()


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def sum_up_day(problem: Problem, judged: JudgedDay, report: str, acted: ActionOutcome) -> MonitoringOutcome:
    """Print what was found and done, and sum it up."""
    from loopcast.stores.failures import tell_success
    from loopcast.stores.telling import summarize_day

    tell_success(open_stores(), problem.name, "monitoring")
    sys.stdout.write(f"\n{summarize_day(judged, report, acted.sentence)}\n")
    return MonitoringOutcome(
        problem=problem.name,
        as_of=judged.as_of,
        model_version=judged.model_version,
        findings=tuple(each.key for each in judged.conditions),
        action=acted.sentence,
        report=report,
    )


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
def give_up_monitoring(config: Problem, as_of: datetime, err: FlyteError | None = None) -> None:
    """Tell of a failed monitoring, and let go of the action that it held, so that the next run takes it on.

    Where a training failed inside it, that has told of itself.
    """
    error = "" if err is None else err.message
    stores = open_stores()
    execution = describe_execution(stores.settings).name
    if not has_training_told(stores, config.name, execution):
        tell_workflow_failure("monitoring", {"config": config}, error)
    release_claims(stores, config.name, execution, error)
