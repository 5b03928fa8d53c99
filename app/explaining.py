"""`POST /api/v1/problems/{problem}/explanations`: why the intervals of a forecast are as wide as they are."""

import math

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.answers import forecasts as answers
from app.answers.base import as_utc
from app.bodies import JsonRoute
from app.documentation import PREFIX, SENDING, refusals
from app.forecasting import find_rows, last_rows
from app.histories import design_sent
from app.parts import read_asked
from app.requests import ExplanationBody, SeriesBody
from loopcast.features import Design
from loopcast.model.attribution import attribute_width
from loopcast.stores.champions import ServedProblem

router = APIRouter(prefix=PREFIX, route_class=JsonRoute)


@router.post(
    "/problems/{problem}/explanations",
    operation_id="explain_forecast",
    responses=refusals(*SENDING, 409),
)
async def explain_forecast(problem: str, body: ExplanationBody, request: Request) -> answers.Explanation:
    """Exact Shapley values of groups of features, of the width of the intervals, averaged over the horizon.

    The forecast is the one that `forecasts` would give for the same series; it is not stored.
    """
    asked = read_asked(request)
    served = asked.find_served(problem)
    # In a thread: some six milliseconds, which others need not wait for.
    return await run_in_threadpool(explain_series, body.series, served, asked.record.request_id)


def explain_series(series: SeriesBody, served: ServedProblem, request_id: str) -> answers.Explanation:
    """The explanation of the forecast that would be made of a series.

    Raises:
        Refusal: The series is not known, or cannot be forecast.
        DataRefusedError: Its history cannot be read, or is too short.
        AttributionError: The model is a formula.
    """
    design, row = _place(series, served)
    found = attribute_width(served.model, design, row, served.background)
    contributions = [
        answers.Contribution(group=group, log_stretch=value, width_ratio=math.exp(value))
        for group, value in sorted(
            zip(found.groups, found.values.tolist(), strict=True), key=lambda each: -abs(each[1])
        )
    ]
    return answers.Explanation(
        request_id=request_id,
        problem=served.model.problem.name,
        model_version=served.version,
        series_id=series.series_id,
        origin_utc=as_utc(design.timestamp_utc[row]),
        expected_width_ratio=math.exp(found.expected),
        found_width_ratio=math.exp(found.found),
        contributions=contributions,
    )


def _place(series: SeriesBody, served: ServedProblem) -> tuple[Design, int]:
    if series.history is None:
        return served.design, int(find_rows([series.series_id], served)[0])
    design = design_sent([series], served.model.problem)
    return design, int(last_rows(design)[0])
