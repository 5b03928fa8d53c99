"""The strip of looks: what monitoring found at each, from left to right, and what was done meanwhile."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final, Literal

from app.answers import health as answers
from app.pages.events import name_event
from app.pages.figures import show_day
from loopcast.config import Problem
from loopcast.health.condition import Severity
from loopcast.health.day_summary import Aspect
from loopcast.stores.timeline import EventKind

ASPECTS: Final = {
    Aspect.DATA: "Data",
    Aspect.FORECASTS: "Forecasts",
    Aspect.DRIFT: "Drift",
    Aspect.SKILL: "Skill",
}


@dataclass(frozen=True)
class Span:
    """A stretch of the strip, or, where it has no width, a moment.

    Attributes:
        at, width: Shares of the strip, 0 to 1.
        text: What it says, also to those who do not see it.
    """

    at: float
    width: float
    tone: Literal["bad", "second", "accent", "muted", "good"]
    text: str


@dataclass(frozen=True)
class Lane:
    """One row of the strip."""

    label: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Strip:
    """The looks of monitoring from left to right."""

    lanes: tuple[Lane, ...]
    first: str
    last: str
    summary: str


def draw_strip(curve: answers.HealthCurve, events: Sequence[answers.Event], problem: Problem) -> Strip | None:
    """A lane for the version that was judged, one for each aspect, and one for decisions; None before two looks."""
    if len(curve.as_of_utc) < 2:
        return None
    first, last = curve.as_of_utc[0], curve.as_of_utc[-1]
    n_looks = len(curve.as_of_utc)

    def place(moment: datetime) -> float:
        return (moment - first) / (last - first)

    def cover(k_first: int, k_last: int) -> tuple[float, float]:
        """From a look to the one behind another: each stands for the time until the next."""
        begin, end = place(curve.as_of_utc[k_first]), place(curve.as_of_utc[min(k_last + 1, n_looks - 1)])
        return begin, max(end - begin, 0.0)

    versions = tuple(
        Span(*cover(run[0], run[-1]), "accent" if k % 2 == 0 else "muted", f"version {version}")
        for k, (version, run) in enumerate(_find_runs(curve.model_version))
    )
    lanes = [Lane("Champion", versions)]
    n_found = {}
    for aspect, label in ASPECTS.items():
        spans = [
            Span(
                *cover(run[0], run[-1]),
                "bad" if severity is Severity.ALERT else "second",
                f"{'alert' if severity is Severity.ALERT else 'notice'}, "
                f"{show_day(curve.as_of_utc[run[0]], problem.time_zone)} to "
                f"{show_day(curve.as_of_utc[run[-1]], problem.time_zone)}",
            )
            for severity, run in _find_runs(curve.worst[aspect])
            if severity is not None
        ]
        n_found[label] = sum(each is Severity.ALERT for each in curve.worst[aspect])
        lanes.append(Lane(label, tuple(spans)))
    acts = [each for each in events if each.kind is not EventKind.ALERT and first <= each.moment_utc <= last]
    if acts:
        lanes.append(Lane("Acts", tuple(_mark(each, place(each.moment_utc)) for each in acts)))
    told = ", ".join(f"{label}: {n} of {n_looks} looks with an alert" for label, n in n_found.items())
    return Strip(
        tuple(lanes), show_day(first, problem.time_zone), show_day(last, problem.time_zone), f"{n_looks} looks. {told}."
    )


def _find_runs(values: Iterable[object]) -> Iterator[tuple[object, list[int]]]:
    """Equal neighbours, with their places."""
    for value, run in groupby(enumerate(values), key=lambda each: each[1]):
        yield value, [k for k, _ in run]


def _mark(event: answers.Event, at: float) -> Span:
    words, tone = name_event(event)
    colour: Literal["bad", "good", "second"] = "bad" if tone == "bad" else "good" if tone == "good" else "second"
    return Span(at, 0.0, colour, f"{words}: {event.sentence}")
