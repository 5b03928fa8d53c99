"""The Forecast page: one series, what may come, why it is so uncertain, and how far to trust it."""

import csv
import io
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app import stored
from app.answers.base import as_utc
from app.answers.forecasts import name_level
from app.pages.answered import Answered, find_explanation, find_forecast
from app.pages.asking import list_columns
from app.pages.explained import account_for_width
from app.pages.fan import SHOWN_LEVELS, draw_fan, place_times, table_forecast
from app.pages.navigation import choose_problem
from app.pages.rendering import Page, compose, render, show_kept
from app.pages.trust import count_steps_ago, tell_trust
from app.parts import read_asked
from loopcast.config import Problem
from loopcast.errors import AttributionError
from loopcast.evidence.formats import name_steps, name_within
from loopcast.grid import has_calendar_steps
from loopcast.stores.champions import ServedProblem

MAX_CHOICE: Final = 40
"""Series up to which all stand in one list; beyond, they are searched for."""
MAX_FOUND: Final = 25
"""Series named for one search."""
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would compute instead of showing it."""

Name = Annotated[str, Query(max_length=200)]
router = APIRouter()


@router.get("/forecast")
async def show_forecast(request: Request, problem: Name = "", series: Name = "", find: Name = "") -> Response:
    """The forecast of one series, by default the first."""
    return show_kept(request, lambda: compose_forecast(request, problem, series, find))


def compose_forecast(request: Request, problem: str, series: str, find: str) -> Page:
    """The page; some ten milliseconds.

    Raises:
        Refusal, NothingServedError: As `choose_problem`.
        JournalFullError, StoreError: The forecast is new, and cannot be stored.
    """
    served = choose_problem(read_asked(request), problem)
    name = series or (next(iter(list_series(served, find)), "") if find else first_series(served))
    context: dict[str, Any] = {
        "problem": served,
        "series": name,
        "find": find,
        "names": sorted(served.latest) if len(served.latest) <= MAX_CHOICE else None,
        "n_series": len(served.latest),
        "matches": list_series(served, find)[:MAX_FOUND] if find else [],
    }
    if name not in served.latest:
        return compose(request, "forecast.html.jinja", status=404, found=None, **context)
    found = find_forecast(name, served, request)
    kind = served.model.problem
    return compose(
        request,
        "forecast.html.jinja",
        found=found,
        chart=draw_fan(found, kind, f"{kind.title}: {name}"),
        summary=summarize(found, kind),
        table=table_forecast(found, kind, SHOWN_LEVELS),
        whole_table=table_forecast(found, kind, kind.quantiles),
        is_daily=has_calendar_steps(kind),
        age=count_steps_ago(found, served),
        reach=name_steps(kind, kind.horizon),
        trust=tell_trust(served),
        candidate=name_within(served.record.candidate),
        columns=list_columns(kind),
        columns_of_file=kind.columns.names,
        **context,
    )


@router.get("/forecast/series")
async def show_series(request: Request, problem: Name = "", find: Name = "") -> Response:
    """The series whose names hold some letters, as a part of the page."""
    served = choose_problem(read_asked(request), problem)
    names = list_series(served, find)
    return render(
        request, "_series.html.jinja",
        problem_name=served.record.problem, find=find, matches=names[:MAX_FOUND], n_matches=len(names),
    )  # fmt: skip


@router.get("/forecast/explanation")
async def show_explanation(request: Request, problem: Name = "", series: Name = "") -> Response:
    """Why it is so wide, as a part of the page."""
    served = choose_problem(read_asked(request), problem)
    try:
        found = await run_sync(find_explanation, series, served, request)
    except AttributionError:
        found = None
    return render(
        request, "_explanation.html.jinja",
        account=account_for_width(series, served, found), found=found, candidate=name_within(served.record.candidate),
    )  # fmt: skip


@router.get("/forecast/lineage")
async def show_lineage(request: Request, forecast_id: UUID) -> Response:
    """Where a forecast comes from, as a part of the page."""
    return render(request, "_lineage.html.jinja", lineage=await stored.get_lineage(forecast_id, request))


@router.get("/forecast.csv")
async def download_forecast(request: Request, problem: Name = "", series: Name = "") -> Response:
    """The forecast as a table for spreadsheets."""
    served = choose_problem(read_asked(request), problem)
    found = find_forecast(series or first_series(served), served, request)
    name = re.sub(r"[^A-Za-z0-9._]+", "-", f"{served.record.problem}-{found.series_id}-{found.origin_utc:%Y-%m-%d}")
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(write_csv(found, served), 200, headers, "text/csv; charset=utf-8")


def write_csv(found: Answered, served: ServedProblem) -> str:
    """A row for each target step, a column for each level; names that a spreadsheet would compute are quoted."""
    problem = served.model.problem
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    levels = [f"quantile_{name_level(level)}" for level in problem.quantiles]
    day = ["target_date"] if has_calendar_steps(problem) else []
    writer.writerow(["series_id", "origin_utc", "target_utc", *day, "unit", *levels, "model_version", "forecast_id"])
    for target, seconds, values in zip(
        found.target_utc, place_times(found.target_utc, problem), found.quantiles.tolist(), strict=True
    ):
        moments = [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (found.origin_utc, as_utc(target))]
        days = [datetime.fromtimestamp(seconds, UTC).date().isoformat()] if day else []
        writer.writerow(
            [neutralize(found.series_id), *moments, *days, neutralize(problem.unit), *values, served.version, found.id]
        )
    return out.getvalue()


def neutralize(text: str) -> str:
    """A text that a spreadsheet shows as it is.

    >>> neutralize("=1+1"), neutralize("GOOG")
    ("'=1+1", 'GOOG')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def first_series(served: ServedProblem) -> str:
    """What is shown before anything was chosen."""
    return next((name for name in served.model.problem.forecast_series if name in served.latest), min(served.latest))


def list_series(served: ServedProblem, find: str) -> list[str]:
    """Series whose names hold the letters, those that begin with them first."""
    letters = find.strip().casefold()
    found = (name for name in served.latest if letters in name.casefold())
    return sorted(found, key=lambda name: (not name.casefold().startswith(letters), name))


def summarize(found: Answered, problem: Problem) -> str:
    """What the chart shows, in a sentence, for those who do not see it."""
    table = table_forecast(found, problem, SHOWN_LEVELS)
    low, _, median, _, high = table.rows[-1].values
    return (
        f"The last {len(found.past)} steps of {found.series_id} and the next {len(table.rows)}: at the last one the "
        f"median is {median} {problem.unit}, and the 95 % interval runs from {low} to {high}."
    )
