"""What happened, as rows of a list: an event in a word or two, and how its moment is written."""

from datetime import time
from typing import Any, Final
from zoneinfo import ZoneInfo

from app.answers import health as answers
from loopcast.config import Problem
from loopcast.grid import has_calendar_steps
from loopcast.stores.timeline import EventKind

EVENTS: Final = {
    "promotion": ("promoted", "good"),
    "rejection": ("not promoted", "plain"),
    "demotion": ("taken out of service", "bad"),
    "observation": ("changed by hand in MLflow", "warn"),
    "alert_raised": ("alert", "bad"),
    "alert_recovered": ("alert over", "good"),
    "retrain_called_for": ("training called for", "warn"),
    "roll_back_called_for": ("rollback called for", "bad"),
    "cool_down_begins": ("cool-down begins", "plain"),
}
"""Of what is on the line of events: in words, and the tone of their badge. What is not here is named as it is."""


def list_events(happened: answers.Events, problem: Problem) -> dict[str, Any]:
    """What the rows of the list show."""
    rows = [(each, *name_event(each), _is_step(each, problem)) for each in happened.events]
    return {"events": rows, "next_before": happened.next_before, "kind": problem}


def name_event(event: answers.Event) -> tuple[str, str]:
    """An event in a word or two, and the tone of its badge."""
    return EVENTS.get(event.what, (event.what.replace("_", " "), "plain"))


def _is_step(event: answers.Event, problem: Problem) -> bool:
    """Whether its moment is a date of the data, of which the time of day says nothing."""
    local = event.moment_utc.astimezone(ZoneInfo(problem.time_zone))
    return event.kind is EventKind.ALERT and has_calendar_steps(problem) and local.time() == time()
