"""What queries found, as pages show it: figures, charts and tables made of a result's JSON, kind by kind.

Results are kept as JSON for months, longer than the code that wrote them, and so they are not parsed into its shapes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from app.pages.drawing import Band, Chart, Line, Tone
from app.pages.fan import name_clock, place_times
from app.pages.figures import show_percent
from loopcast.config import Problem
from loopcast.queries.kinds import QueryKind

HEAT_STEPS: Final = 5
"""Shades of a table whose cells tell how much; each cell says it in figures too."""
OPACITY: Final = 0.22
"""Of bands that lie over each other."""
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One cell of a table of shades.

    Attributes:
        text: The figure.
        shade: Class of the cell; empty for none.
    """

    text: str
    shade: str = ""


def view_result(kind: QueryKind, result: Result, problem: Problem | None) -> dict[str, Any]:
    """What the template `_result_<kind>.html.jinja` shows beside the result itself.

    Args:
        problem: As it is in service; None where it is not any more.
    """
    return VIEWS.get(kind, view_act)(result, problem)


def view_explanation(result: Result, _: Problem | None) -> dict[str, Any]:
    """Features in rows and how long ago in columns, nearest first."""
    groups = [each for each in result["groups"] if each["lag_bucket"]]
    lags = sorted({each["lag_bucket"] for each in groups}, key=lambda name: int(re.split(r"\D+", name)[0]))
    features = list(dict.fromkeys(each["feature"] for each in groups))
    by_place = {(each["feature"], each["lag_bucket"]): each for each in groups}
    largest = max((abs(each["log_stretch"]) for each in result["groups"]), default=0.0)
    rows = [
        (name_feature(feature), [_shade(by_place.get((feature, lag)), largest) for lag in lags]) for feature in features
    ]
    ahead = [_shade(each, largest) for each in result["groups"] if not each["lag_bucket"]]
    return {"lags": lags, "rows": rows, "ahead": ahead, "change": result["found_width_ratio"] - 1}


def view_backtest(result: Result, problem: Problem | None) -> dict[str, Any]:
    """Skill by horizon as bars, and all figures as a table, for each side of the end of the training data."""
    stretches = [
        {
            **each,
            "first": _day(each["first_origin_utc"]),
            "last": _day(each["last_origin_utc"]),
            "bars": [
                (_name_ahead(step["horizon"]), step["skill_ratio"], show_percent(step["skill_ratio"], sign="+"))
                for step in each["by_horizon"]
                if step["skill_ratio"] is not None
            ],
        }
        for each in result["stretches"]
    ]
    return {"stretches": stretches, "trained_until": _day(result["trained_until_utc"]), "zone": _zone(problem)}


def view_what_if(result: Result, problem: Problem | None) -> dict[str, Any]:
    """Two fans from one origin, and the difference of each step."""
    places = [result["levels"].index(level) for level in (0.1, 0.5, 0.9)]
    sides: tuple[tuple[str, str, Tone], ...] = (("As it is", "as_it_is", "accent"), ("As if", "as_if", "second"))
    lines, bands = [], []
    for label, name, tone in sides:
        origin = result[f"origin_value_{name}"]
        low, middle, high = ([origin, *(step[name][k] for step in result["steps"])] for k in places)
        ends = (f"{label}, 80 % from", f"{label}, 80 % to")
        lines += [
            Line(f"{label}, median", middle, tone, "solid" if name == "as_it_is" else "dashed"),
            Line(ends[0], low, tone, "hidden"),
            Line(ends[1], high, tone, "hidden"),
        ]
        bands.append(Band(f"{label}, 80 %", ends[0], ends[1], tone, OPACITY))
    moments = [_day(result["origin_utc"]), *(_day(step["target_utc"]) for step in result["steps"])]
    times = np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[us]")
    chart = Chart(
        title=f"{result['series_id']}, as it is and as if",
        unit=result["unit"],
        times=[moment.timestamp() for moment in moments] if problem is None else place_times(times, problem),
        clock="local" if problem is None else name_clock(problem),
        lines=lines,
        bands=bands,
    )
    steps = [
        {
            "target": _day(step["target_utc"]),
            "before": [step["as_it_is"][k] for k in places],
            "after": [step["as_if"][k] for k in places],
            "difference": step["median_difference"],
            "width_change": None if step["width_80_ratio"] is None else step["width_80_ratio"] - 1,
        }
        for step in result["steps"]
    ]
    return {"chart": chart, "steps": steps, "zone": _zone(problem), "is_daily": chart.clock == "date"}


def view_bulk_forecast(result: Result, problem: Problem | None) -> dict[str, Any]:
    """Counts, and why rows and series were left out."""
    reasons = [(name.replace("_", " "), n) for name, n in result["refused_by_reason"].items()]
    return {"reasons": reasons, "first": _day(result["first_origin_utc"]), "last": _day(result["last_origin_utc"]),
            "zone": _zone(problem)}  # fmt: skip


def view_act(result: Result, _: Problem | None) -> dict[str, Any]:
    """The decision about a model that a query led to."""
    decision = result.get("decision")
    return {"decided_at_utc": None if decision is None else _day(decision["decided_at_utc"])}


def name_feature(name: str) -> str:
    """A feature as a person would say it.

    >>> [name_feature(each) for each in ("change", "variance_5", "market_variance_1", "overnight_change", "volume")]
    ['Change', 'Volatility, 5 steps', 'Volatility of all series, 1 step', 'Overnight change', 'Volume']
    """
    kind, _, length = name.rpartition("_")
    steps = f", {length} step{'' if length == '1' else 's'}" if length.isdigit() else ", all before"
    match kind:
        case "variance":
            return f"Volatility{steps}"
        case "market_variance":
            return f"Volatility of all series{steps}"
        case "change":
            return f"Change{steps}"
    return name.replace("_", " ").capitalize()


def _shade(group: Result | None, largest: float) -> Cell:
    if group is None:
        return Cell("–")
    value = group["log_stretch"]
    share = round(HEAT_STEPS * abs(value) / largest) if largest else 0
    text = show_percent(group["width_ratio"] - 1, sign="+")
    return Cell(text, f"{'more' if value > 0 else 'less'}-{share}" if share else "")


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _zone(problem: Problem | None) -> str:
    return "UTC" if problem is None else problem.time_zone


def _name_ahead(horizon: int) -> str:
    return f"{horizon} step{'' if horizon == 1 else 's'} ahead"


VIEWS: Final[Mapping[QueryKind, Callable[[Result, Problem | None], dict[str, Any]]]] = {
    QueryKind.EXPLANATION: view_explanation,
    QueryKind.BACKTEST: view_backtest,
    QueryKind.WHAT_IF: view_what_if,
    QueryKind.BULK_FORECAST: view_bulk_forecast,
}
