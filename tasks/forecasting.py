"""The tasks of a batch run: choose its model once, plan it, forecast part by part, tell of it, forget what is old."""

import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from flytekit import Resources, task

from loopcast.config import Problem
from loopcast.evidence.account import SnapshotFacts
from loopcast.evidence.forecast_table import summarize_batch
from loopcast.model.batch import BatchOutcome, BatchPlan, ChosenModel, Part, read_span
from loopcast.stores import batch
from loopcast.stores.actuals import ActualsChange
from loopcast.stores.forecasts import ForecastStore
from tasks.faults import retry_transient_faults
from tasks.identity import name_attempt
from tasks.stores import open_stores


class Planned(NamedTuple):
    """What a run forecasts, and the parts in which it does."""

    plan: BatchPlan
    parts: list[Part]


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def choose_model(problem: Problem, version: int = 0) -> ChosenModel:
    """Tell which version makes all forecasts of the run: the champion of this moment, or the one of a number."""
    stores = open_stores()
    return batch.choose_model(stores.registry, problem.name, version or None, name_attempt(stores.settings))


@task(requests=Resources(cpu="1", mem="2Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def plan_forecasts(
    problem: Problem, snapshot: SnapshotFacts, model: ChosenModel, start: str = "", end: str = ""
) -> Planned:
    """Tell which forecasts the run makes: from the latest steps, or from all origins between two moments."""
    span = read_span(start, end, problem) if start or end else None
    with TemporaryDirectory(prefix="loopcast-batch-") as folder:
        plan = batch.open_batch(open_stores(), model, snapshot.sha256, Path(folder)).plan(problem, span)
    return Planned(plan, plan.cut())


@task(requests=Resources(cpu="2", mem="4Gi"), retries=3, timeout=timedelta(hours=2), interruptible=True)
@retry_transient_faults
def forecast_part(part: Part, problem: Problem, snapshot: SnapshotFacts, model: ChosenModel, plan: BatchPlan) -> int:
    """Store the forecasts of one part, those that are there already left out, and tell how many are new."""
    stores = open_stores()
    with TemporaryDirectory(prefix="loopcast-batch-") as folder:
        opened = batch.open_batch(stores, model, snapshot.sha256, Path(folder))
        return opened.store_part(
            problem, plan.span, part, ForecastStore(stores.database), stores.settings.seed_processes
        )


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=10))
@retry_transient_faults
def report_forecasts(
    problem: Problem,
    snapshot: SnapshotFacts,
    model: ChosenModel,
    plan: BatchPlan,
    actuals: ActualsChange,
    n_new: list[int],
) -> BatchOutcome:
    """Print the forecasts of the first series, as they are stored, and sum the run up."""
    from loopcast.stores.failures import tell_success

    stores = open_stores()
    outcome = BatchOutcome(
        problem=problem.name,
        version=model.version,
        n_series=plan.n_series,
        n_forecasts=plan.n_forecasts,
        n_new=sum(n_new),
        first_origin_utc=plan.first_origin_utc,
        last_origin_utc=plan.last_origin_utc,
        n_actuals_new=actuals.n_new,
        n_actuals_corrected=actuals.n_corrected,
        left_out=plan.left_out,
    )
    steps = batch.read_shown(ForecastStore(stores.database), model, plan)
    tell_success(stores, problem.name, "forecasting" if plan.span is None else "backfill")
    sys.stdout.write(f"\n{summarize_batch(outcome, steps, snapshot.notes, problem)}\n")
    return outcome


@task(requests=Resources(cpu="500m", mem="1Gi"), retries=3, timeout=timedelta(minutes=30))
@retry_transient_faults
def forget_forecasts() -> int:
    """Forget what was forecast longer ago than forecasts are kept, of all problems, and tell how many."""
    stores = open_stores()
    return batch.forget_old(ForecastStore(stores.database), stores.settings.forecast_retention_months)
