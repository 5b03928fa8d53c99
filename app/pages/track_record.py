"""The Track record page: forecast against actual, what intervals held, and what skill there was; honest about both."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.answers import track_record as answers
from app.model_routes import find_models
from app.pages.drawing import Band, Chart, Line, Mark, shorten
from app.pages.fan import OPACITIES, name_clock, place_times
from app.pages.navigation import choose_problem
from app.pages.rendering import compose, show_kept
from app.pages.track_words import judge_coverage, judge_skill, tell_pending, tell_track
from app.parts import read_asked
from app.track_record import find_track_record
from loopcast.config import Problem
from loopcast.evidence.formats import name_candidate, name_steps
from loopcast.grid import has_calendar_steps
from loopcast.health.track_record import LEAST_DAYS, TrackCurve
from loopcast.typing import Times

MAX_CHOICE: Final = 40
"""Series up to which all stand in one list; beyond, they are typed."""
SHOWN_ROWS: Final = 12
"""Rows of the tables under the charts."""


class Period(StrEnum):
    """How far back is looked, from the last target."""

    QUARTER = "quarter"
    YEAR = "year"
    ALL = "all"


DAYS: Final = {Period.QUARTER: 91, Period.YEAR: 365, Period.ALL: 200 * 365}
LABELS: Final = {Period.QUARTER: "Last quarter", Period.YEAR: "Last year", Period.ALL: "All there is"}
ALL: Final = "*"
"""Instead of the name of a series: all of them."""

router = APIRouter()


@router.get("/track-record")
async def show_track_record(
    request: Request,
    problem: Annotated[str, Query(max_length=200)] = "",
    series: Annotated[str, Query(max_length=200)] = "",
    horizon: Annotated[str, Query(pattern=r"^\d{0,4}$")] = "",
    version: Annotated[str, Query(pattern=r"^\d{0,9}$")] = "",
    period: Period = Period.YEAR,
) -> Response:
    """How forecasts of one series, by default the first, or of all of them did."""
    asked = read_asked(request)
    served = choose_problem(asked, problem)
    kind, names = served.model.problem, sorted(served.latest)
    name = series or names[0]
    only = None if name == ALL else name
    number, steps = int(version or 0) or None, int(horizon or 0) or None
    found = await find_track_record(asked, kind.name, only, number, steps)
    if period is not Period.YEAR and found.until is not None:
        since = max(found.until - timedelta(days=DAYS[period]), date(1970, 1, 1))
        found = await find_track_record(asked, kind.name, only, number, steps, since, found.until)
    versions = [each.model_version for each in (await find_models(asked, kind.name)).versions]
    return show_kept(
        request,
        lambda: compose(
            request,
            "track_record.html.jinja",
            problem=served,
            found=found,
            chosen={"series": name, "version": number, "horizon": steps, "period": period},
            names=names if len(names) <= MAX_CHOICE else None,
            n_series=len(names),
            all_series=ALL,
            periods=LABELS,
            versions=versions,
            told=tell_track(found, kind.monitoring),
            pending=tell_pending(found.overall),
            tones={
                "80": judge_coverage(found.overall.coverage_80_ratio, 0.80, kind.monitoring),
                "95": judge_coverage(found.overall.coverage_95_ratio, 0.95, kind.monitoring),
                "skill": judge_skill(found.overall.skill_ratio),
            },
            n_trained=sum(each.n_trained for each in found.by_version),
            fan=draw_forecasts(found.chart, kind) if found.chart and found.chart.n_shown else None,
            fan_rows=list_last(found.chart) if found.chart else [],
            coverage=draw_coverage(found.curve),
            skill=draw_skill(found.curve),
            curve_rows=thin_rows(found.curve),
            is_daily=has_calendar_steps(kind),
            step_name=name_steps(kind, found.chart.horizon if found.chart else 1),
            least_days=LEAST_DAYS,
            name_candidate=name_candidate,
        ),
    )


def draw_forecasts(chart: answers.TrackChart, problem: Problem) -> Chart:
    """What was forecast of each target, as two bands around the median, and what came true, as dots."""
    lines = [
        Line("Came true", shorten(chart.actual), "ink", "dots"),
        Line("Median", shorten(chart.median), "accent"),
        Line("Last known value", shorten(chart.origin_value), "muted", "hidden"),
        Line("95 % from", shorten(chart.low_95), "accent", "hidden"),
        Line("95 % to", shorten(chart.high_95), "accent", "hidden"),
        Line("80 % from", shorten(chart.low_80), "accent", "hidden"),
        Line("80 % to", shorten(chart.high_80), "accent", "hidden"),
    ]
    times: Times = np.array([each.replace(tzinfo=None) for each in chart.target_utc], dtype="datetime64[us]")
    seconds = place_times(times, problem)
    changes = [k for k in range(1, chart.n_shown) if chart.model_version[k] != chart.model_version[k - 1]]
    return Chart(
        title=f"{problem.title}: {chart.series_id}, {name_steps(problem, chart.horizon)} ahead",
        unit=problem.unit,
        times=seconds,
        clock=name_clock(problem),
        lines=lines,
        bands=[
            Band("95 % interval", "95 % from", "95 % to", "accent", OPACITIES[0]),
            Band("80 % interval", "80 % from", "80 % to", "accent", OPACITIES[1]),
        ],
        marks=[Mark(f"version {chart.model_version[k]}", seconds[k]) for k in changes],
    )


def draw_coverage(curve: TrackCurve) -> Chart:
    """Share of what came true that the intervals held, beside what they promise."""
    return Chart(
        title="What the intervals held",
        unit="%",
        times=_place_days(curve),
        clock="date",
        lines=[
            Line("95 % interval", shorten(curve.coverage_95_ratio), "second"),
            Line("80 % interval", shorten(curve.coverage_80_ratio), "accent"),
        ],
        marks=[Mark("", 0.95, is_level=True), Mark("", 0.80, is_level=True)],
    )


def draw_skill(curve: TrackCurve) -> Chart:
    """Skill of the whole forecast over EWMA, and of its middle over the last known value."""
    gains = [None if ratio is None else 1 - ratio for ratio in curve.error_ratio]
    return Chart(
        title="Skill",
        unit="%",
        times=_place_days(curve),
        clock="date",
        lines=[
            Line("Whole forecast, over EWMA", shorten(curve.skill_ratio), "accent"),
            Line("Middle alone, over the last value", shorten(gains), "second", "dashed"),
        ],
        marks=[Mark("", 0.0, is_level=True)],
    )


def list_last(chart: answers.TrackChart) -> list[dict[str, object]]:
    """The last forecasts of the chart as rows, the latest first."""
    names = ("target_utc", "median", "low_80", "high_80", "low_95", "high_95", "origin_value", "actual")
    rows = range(chart.n_shown - 1, max(chart.n_shown - 1 - SHOWN_ROWS, -1), -1)
    return [{name: getattr(chart, name)[k] for name in names} for k in rows]


def thin_rows(curve: TrackCurve) -> list[dict[str, object]]:
    """Some points of the curves as rows, evenly spaced, the latest first."""
    n = len(curve.day_utc)
    names = ("day_utc", "coverage_80_ratio", "coverage_95_ratio", "skill_ratio", "error_ratio")
    step = max(-(-n // SHOWN_ROWS), 1)
    return [{name: getattr(curve, name)[k] for name in names} for k in range(n - 1, -1, -step)]


def _place_days(curve: TrackCurve) -> list[float]:
    return [day.timestamp() for day in curve.day_utc]
