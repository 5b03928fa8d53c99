"""The Health page: what is wrong now, how the loop did look by look, and what happened, on one line of time."""

from datetime import UTC, datetime
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.answers import health as answers
from app.loop_health import find_events, find_health
from app.pages.drawing import Chart, Line, Mark
from app.pages.events import list_events
from app.pages.fan import name_clock, place_times
from app.pages.navigation import choose_problem
from app.pages.rendering import compose, render, show_kept
from app.pages.strip import ASPECTS, draw_strip
from app.parts import read_asked
from loopcast.config import Problem
from loopcast.grid import has_calendar_steps
from loopcast.health.drift import Measure
from loopcast.stores.actions import ActionKind
from loopcast.typing import Times

N_EVENTS: Final = 30
"""Of the list; more are fetched as one goes."""
STALE_AFTER_S: Final = 4 * 86_400
"""Since the last look: a long weekend is four days without one."""
MEASURES: Final = {
    Measure.KS: "Shape of the changes",
    Measure.WASSERSTEIN: "Size of wild changes",
    Measure.VOLATILITY: "Volatility",
    Measure.WIDTH: "Width of the intervals",
    Measure.LOCATION: "Place of the median",
}
ACTIONS: Final = {
    ActionKind.ROLL_BACK: "Rollback",
    ActionKind.RETRAIN: "Training",
    ActionKind.COOL_DOWN: "Cool-down",
}

router = APIRouter()


@router.get("/health")
async def show_health(request: Request, problem: Annotated[str, Query(max_length=200)] = "") -> Response:
    """How the loop of one problem does."""
    asked = read_asked(request)
    served = choose_problem(asked, problem)
    kind = served.model.problem
    found = await find_health(asked, kind.name)
    happened = await find_events(asked, kind.name, "", N_EVENTS)
    look = found.last_look
    return show_kept(
        request,
        lambda: compose(
            request,
            "health.html.jinja",
            problem=served,
            found=found,
            look=look,
            is_stale=look is not None and _is_stale(look),
            strip=draw_strip(found.curve, happened.events, kind),
            nearness=draw_nearness(found.curve, kind),
            aspects=ASPECTS,
            measures=MEASURES,
            actions=ACTIONS,
            alarms=_list_nearness(look),
            is_daily=has_calendar_steps(kind),
            **list_events(happened, kind),
        ),
    )


@router.get("/health/events")
async def show_events(
    request: Request,
    problem: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """More of what happened, as rows of the list."""
    asked = read_asked(request)
    kind = choose_problem(asked, problem).model.problem
    happened = await find_events(asked, kind.name, before, N_EVENTS)
    return render(request, "_events.html.jinja", **list_events(happened, kind))


def draw_nearness(curve: answers.HealthCurve, problem: Problem) -> Chart:
    """How near each look came to an alarm, of drift and of lost skill, in shares of the way there."""
    times: Times = np.array([each.replace(tzinfo=None) for each in curve.as_of_utc], dtype="datetime64[us]")
    return Chart(
        title="How near to an alarm",
        unit="%",
        times=place_times(times, problem),
        clock=name_clock(problem),
        lines=[
            Line("Drift", list(curve.drift_excess), "second"),
            Line("Lost skill", list(curve.skill_excess), "accent"),
        ],
        marks=[Mark("alarm", 1.0, is_level=True, tone="bad")],
    )


def _list_nearness(look: answers.LastLook | None) -> list[tuple[str, float]]:
    """How near the last look came to each alarm, in shares of the way there."""
    if look is None:
        return []
    found = [("Lost skill", look.skill_excess), *((MEASURES[name], each) for name, each in look.drift_excess.items())]
    return [(label, excess) for label, excess in found if excess is not None]


def _is_stale(look: answers.LastLook) -> bool:
    return look.looked_at_utc is not None and (datetime.now(UTC) - look.looked_at_utc).total_seconds() > STALE_AFTER_S
