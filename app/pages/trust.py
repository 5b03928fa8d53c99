"""How far a forecast can be trusted, and how old it is, in sentences that hide nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from app.pages.answered import Answered
from app.pages.figures import show_count, show_percent
from loopcast.evidence.formats import name_steps
from loopcast.evidence.wording import NOTABLE_RATIO
from loopcast.grid import place_on_grid
from loopcast.stores.champions import ServedProblem


@dataclass(frozen=True)
class Trust:
    """What the backtest of the version in service says.

    Attributes:
        coverage: How often what came true lay inside each interval.
        worth: What the intervals are worth beside those of volatility alone.
        point: What the median is worth beside the last value.
    """

    coverage: str
    worth: str
    point: str


def tell_trust(served: ServedProblem) -> Trust | None:
    """What the figures of the backtest mean; None where none are known."""
    figures = {name: value for name, value in served.metrics.items() if np.isfinite(value)}
    if not figures.keys() >= {"coverage_80_ratio", "coverage_95_ratio"}:
        return None
    over = f"Over {show_count(int(figures['n_dates']), 'date')} of the past" if "n_dates" in figures else "In the past"
    return Trust(
        coverage=(
            f"{over}, what came true lay inside the {_name(0.8)} interval {show_percent(figures['coverage_80_ratio'])} "
            f"of the time, and inside the {_name(0.95)} interval {show_percent(figures['coverage_95_ratio'])}."
        ),
        worth=_tell_worth(figures.get("skill_ratio")),
        point=_tell_point(figures.get("mae_ratio")),
    )


def _name(nominal: float) -> str:
    return show_percent(nominal, digits=0)


def _tell_worth(skill: float | None) -> str:
    if skill is None:
        return ""
    if skill > 0:
        return f"Its loss is {show_percent(skill)} below that of intervals from volatility alone (EWMA): its skill."
    return f"Its loss is {show_percent(-skill)} above that of intervals from volatility alone (EWMA): no skill."


def _tell_point(mae_ratio: float | None) -> str:
    if mae_ratio is None:
        return ""
    if mae_ratio > 1 - NOTABLE_RATIO:
        return (
            "As a single number it is no better than the last value "
            f"({mae_ratio:.3f} times its error): read the range, not the line."
        )
    return f"As a single number its error is {show_percent(1 - mae_ratio)} below that of the last value."


def count_steps_ago(found: Answered, served: ServedProblem, now_utc: datetime | None = None) -> str | None:
    """How long ago the history ended, where all of the forecast lies in the past; None where some lies ahead."""
    now = np.datetime64((now_utc or datetime.now(UTC)).replace(tzinfo=None), "us")
    if found.target_utc[-1] >= now:
        return None
    problem = served.model.problem
    ends = np.array([found.past_utc[-1], now], dtype="datetime64[us]")
    origin, today = place_on_grid(ends, problem).numbers
    n_steps = int(today - origin)
    return name_steps(problem, n_steps).replace(str(n_steps), f"{n_steps:,}", 1)
