"""`POST /api/v1/problems/{problem}/forecasts`: forecasts of the series that are named, or whose histories are sent."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import numpy as np
import orjson
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.answers.forecasts import ForecastAnswer, name_level
from app.bodies import JsonRoute
from app.documentation import PREFIX, SENDING, refusals
from app.errors import ErrorCode, Refusal
from app.histories import design_sent
from app.parts import Asked, read_asked
from app.requests import ForecastBody, SeriesBody
from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design
from loopcast.forecasts import Forecasts, ForecastSource
from loopcast.model.served import make_forecasts
from loopcast.stores.champions import ServedProblem
from loopcast.stores.journal import JournalFullError
from loopcast.typing import Ints

MAX_INLINE_ROWS: Final = 1000
"""Rows of histories in a request up to which it is answered at once; beyond, in a thread, so that others need not wait
for some ten milliseconds."""
MAX_NAMED: Final = 5
"""Series or levels named in one refusal."""
JSON: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

router = APIRouter(prefix=PREFIX, route_class=JsonRoute)


@router.post(
    "/problems/{problem}/forecasts",
    operation_id="make_forecasts",
    response_model=ForecastAnswer,
    responses=refusals(*SENDING),
)
async def answer_forecasts(problem: str, body: ForecastBody, request: Request) -> Response:
    """Forecast series by name, or from histories that are sent; all of them, or none and why.

    Each forecast is stored before it is answered, in full, whichever part of it was asked for, and found again by its
    `forecast_id`. Series whose histories are sent together are read together: where a problem has several series, the
    state of the market is the mean over those that were sent.
    """
    asked = read_asked(request)
    served = asked.find_served(problem)
    horizon, columns = _select(body, served.model.problem)
    n_rows = sum(len(each.history.timestamp) for each in body.series if each.history)
    if n_rows > MAX_INLINE_ROWS:
        made = await run_in_threadpool(make_and_keep, body.series, served, asked)
    else:
        made = make_and_keep(body.series, served, asked)
    by_series = {each["series_id"]: each for forecasts in made for each in _describe(forecasts, horizon, columns)}
    answer = {
        "request_id": asked.record.request_id,
        "problem": problem,
        "unit": served.model.problem.unit,
        "model_version": served.version,
        "forecasts": [by_series[each.series_id] for each in body.series],
    }
    return Response(orjson.dumps(answer, option=JSON), media_type="application/json")


def make_and_keep(series: Sequence[SeriesBody], served: ServedProblem, asked: Asked) -> list[Forecasts]:
    """The whole forecasts of the series, which were stored.

    Raises:
        Refusal, DataRefusedError: As `forecast_series`.
        JournalFullError, StoreError: They cannot be stored.
    """
    made = forecast_series(series, served, asked.record.request_id)
    try:
        asked.parts.journal.append(*made)
    except JournalFullError:
        asked.parts.metrics.journal_full.inc()
        raise
    asked.parts.metrics.count_forecasts(served.record.problem, len(series))
    return made


def forecast_series(series: Sequence[SeriesBody], served: ServedProblem, request_id: str) -> list[Forecasts]:
    """The whole forecasts of the series: of those that are named, and of those that bring a history.

    Raises:
        Refusal: A series that is named is not known, or cannot be forecast.
        DataRefusedError: A history cannot be read, is too short, or leads beyond what numbers can say.
    """
    named = [each.series_id for each in series if each.history is None]
    sent = [each for each in series if each.history is not None]
    made = [_forecast(served, served.design, find_rows(named, served), request_id)] if named else []
    if sent:
        design = design_sent(sent, served.model.problem)
        made.append(_forecast(served, design, last_rows(design), request_id))
    return made


def find_rows(names: Sequence[str], served: ServedProblem) -> Ints:
    """The row of the served history's design from which each named series is forecast, shape (n,).

    Raises:
        Refusal: One is not known, or has too little history.
    """
    if unknown := [name for name in names if name not in served.latest]:
        what = (
            f"no history to forecast {', '.join(unknown[:MAX_NAMED])} from; send one, or take a series of "
            f"GET /api/v1/problems/{served.model.problem.name}/series"
        )
        raise Refusal(422, ErrorCode.UNKNOWN_SERIES, what)
    return np.array([served.latest[name] for name in names])


def last_rows(design: Design) -> Ints:
    """The row of each series' last step, shape (n,)."""
    return np.flatnonzero(np.r_[design.series[1:] != design.series[:-1], True])


def _forecast(served: ServedProblem, design: Design, rows: Ints, request_id: str) -> Forecasts:
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused below
        forecasts = make_forecasts(
            served.model,
            design,
            rows,
            version=served.version,
            source=ForecastSource.ONLINE,
            request_id=request_id,
            issued_at_utc=datetime.now(UTC),
        )
    is_finite = np.isfinite(forecasts.quantiles).all(axis=(1, 2))
    if not is_finite.all():
        names = ", ".join(forecasts.series_ids[~is_finite][:MAX_NAMED])
        raise DataRefusedError(f"{names}: the history leads to forecasts that are no numbers; check its values")
    return forecasts


def _select(body: ForecastBody, problem: Problem) -> tuple[int, dict[str, int]]:
    """Up to which horizon to answer, and the place of each level to answer, by its name."""
    if body.horizon is not None and body.horizon > problem.horizon:
        raise Refusal(422, ErrorCode.INVALID_REQUEST, f"horizon: found {body.horizon}, needs at most {problem.horizon}")
    levels = problem.quantiles if body.quantiles is None else sorted(set(body.quantiles))
    if missing := [level for level in levels if level not in problem.quantiles]:
        known = ", ".join(name_level(level) for level in problem.quantiles)
        found = ", ".join(name_level(level) for level in missing[:MAX_NAMED])
        raise Refusal(422, ErrorCode.INVALID_REQUEST, f"quantiles: found {found}, needs levels of {known}")
    return body.horizon or problem.horizon, {name_level(level): problem.quantiles.index(level) for level in levels}


def _describe(forecasts: Forecasts, horizon: int, columns: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Each forecast as `answers.SeriesForecast` says."""
    for i, series_id in enumerate(forecasts.series_ids):
        quantiles = forecasts.quantiles[i, :horizon]
        yield {
            "forecast_id": UUID(bytes=forecasts.ids[i].tobytes()),
            "series_id": series_id,
            "origin_utc": forecasts.origin_utc[i],
            "target_utc": forecasts.target_utc[i, :horizon],
            "quantiles": {name: quantiles[:, k].tolist() for name, k in columns.items()},
        }
