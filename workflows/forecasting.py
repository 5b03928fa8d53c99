"""Forecasts of every series in a table: from their latest steps, or from each step of a stretch of the past."""

from functools import partial

from flytekit import map_task, workflow

from loopcast.config import Problem
from loopcast.model.batch import BatchOutcome
from tasks.actuals import record_actuals
from tasks.alerts import alerting_workflow
from tasks.data import ingest_history, store_snapshot
from tasks.forecasting import choose_model, forecast_part, forget_forecasts, plan_forecasts, report_forecasts

CONCURRENT_PARTS = 4
"""Parts at once: with two processes each they write as fast as one PostgreSQL takes it."""


@alerting_workflow
def forecasting(config: Problem) -> BatchOutcome:
    """Forecast each series from its latest step with the champion; forecasts that are stored are not made again."""
    return batch(config=config, start="", end="", version=0)


@alerting_workflow
def backfill(config: Problem, start: str, end: str, version: int = 0) -> BatchOutcome:
    """Forecast from every step between two dates, both included, with the champion or the version of a number."""
    return batch(config=config, start=start, end=end, version=version)


@workflow
def batch(config: Problem, start: str, end: str, version: int) -> BatchOutcome:
    """Bring in data and actuals, choose one model for the whole run, forecast part by part, and forget what is old."""
    ingested = ingest_history(problem=config)
    snapshot = store_snapshot(problem=config, panel=ingested.panel, facts=ingested.facts)
    actuals = record_actuals(problem=config, snapshot=snapshot)
    model = choose_model(problem=config, version=version)
    planned = plan_forecasts(problem=config, snapshot=snapshot, model=model, start=start, end=end)
    part = partial(forecast_part, problem=config, snapshot=snapshot, model=model, plan=planned.plan)
    n_new = map_task(part, concurrency=CONCURRENT_PARTS)(part=planned.parts)
    forgotten = forget_forecasts()
    n_new >> forgotten
    return report_forecasts(
        problem=config, snapshot=snapshot, model=model, plan=planned.plan, actuals=actuals, n_new=n_new
    )
