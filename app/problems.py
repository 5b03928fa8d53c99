"""`GET /api/v1/problems` and what lies below: which problems are served, with which series, by which model version."""

import math
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request

from app.answers import problems as answers
from app.answers.base import as_utc
from app.documentation import PREFIX
from app.forecasting import find_rows
from app.parts import read_asked
from app.requests import PRICES
from loopcast.stores.champions import ServedProblem

MAX_PAGE: Final = 1000
"""Series in one answer: 60 kB."""
MAX_STEPS: Final = 5000
"""Of a history in one answer: twenty years of trading days, 200 kB."""
DEFAULT_STEPS: Final = 126
"""Half a year of trading days."""

router = APIRouter(prefix=PREFIX)


@router.get("/problems", operation_id="list_problems")
async def list_problems(request: Request) -> answers.Problems:
    """Problems in service."""
    asked = read_asked(request)
    names = [name for name in asked.parts.champions.names() if asked.record.asker.may_use(name)]
    return answers.Problems(problems=[_describe(asked.find_served(name)) for name in names])


@router.get("/problems/{problem}", operation_id="get_problem")
async def get_problem(problem: str, request: Request) -> answers.Problem:
    """One problem: unit, horizon, quantiles, and what a history must bring."""
    return _describe(read_asked(request).find_served(problem))


@router.get("/problems/{problem}/series", operation_id="list_series")
async def list_series(
    problem: str,
    request: Request,
    after: Annotated[str, Query(description="Series up to this one are left out.", max_length=200)] = "",
    find: Annotated[str, Query(description="Letters that a name holds, large or small.", max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> answers.SeriesPage:
    """Series that can be forecast by name, and the step from which they are."""
    served = read_asked(request).find_served(problem)
    letters = find.casefold()
    names = sorted(name for name in served.latest if name > after and letters in name.casefold())
    times = served.design.timestamp_utc
    return answers.SeriesPage(
        problem=problem,
        series=[
            answers.SeriesState(series_id=name, origin_utc=as_utc(times[served.latest[name]])) for name in names[:limit]
        ],
        next_after=names[limit - 1] if len(names) > limit else None,
    )


@router.get("/problems/{problem}/history", operation_id="get_history")
async def get_history(
    problem: str,
    request: Request,
    series: Annotated[str, Query(description="Its name.", max_length=200)],
    steps: Annotated[int, Query(ge=1, le=MAX_STEPS)] = DEFAULT_STEPS,
) -> answers.History:
    """The last steps of a series, up to the one from which it is forecast by its name."""
    served = read_asked(request).find_served(problem)
    [last] = find_rows([series], served)
    rows = np.arange(max(0, last + 1 - steps), last + 1)
    rows = rows[served.design.series[rows] == served.design.series[last]]
    return answers.History(
        problem=problem,
        series_id=series,
        unit=served.model.problem.unit,
        history_sha256=served.history_sha256,
        timestamp_utc=[as_utc(each) for each in served.design.timestamp_utc[rows]],
        value=served.design.target[rows].tolist(),
    )


@router.get("/problems/{problem}/model", operation_id="get_model")
async def get_model(problem: str, request: Request) -> answers.Model:
    """The model version in service: its figures, and where it comes from."""
    served = read_asked(request).find_served(problem)
    record = served.record
    return answers.Model(
        problem=record.problem,
        model_version=record.version,
        candidate=record.candidate,
        trained_until_utc=record.trained_until_utc,
        registered_at_utc=record.registered_at_utc,
        history_sha256=served.history_sha256,
        metrics={name: value if math.isfinite(value) else None for name, value in served.metrics.items()},
        lineage=answers.ModelLineage(
            weights_sha256=record.weights_sha256,
            snapshot_sha256=record.snapshot_sha256,
            run_id=record.run_id,
            execution_id=record.execution_id,
            execution_url=record.execution_url,
            git_commit=record.git_commit,
            is_git_dirty=record.is_git_dirty,
        ),
    )


def _describe(served: ServedProblem) -> answers.Problem:
    problem = served.model.problem
    prices = PRICES if problem.columns.ohlc else ()
    longest = problem.features.scales[-1]
    return answers.Problem(
        problem=problem.name,
        title=problem.title,
        unit=problem.unit,
        frequency=problem.frequency,
        time_zone=problem.time_zone,
        horizon=problem.horizon,
        quantiles=list(problem.quantiles),
        history_columns=[
            "timestamp",
            "target",
            *prices,
            *(f"covariates.{c.column}" for c in problem.columns.covariates),
        ],
        history_min_rows=longest + 1,
        history_full_rows=longest + problem.network.context_length,
        model_version=served.version,
    )
