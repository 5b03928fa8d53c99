"""How a forecast is drawn and tabled: a fan over the past, and the same figures in rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from app.answers.base import as_utc
from app.pages.answered import Answered
from app.pages.drawing import Band, Chart, Clock, Line, Mark, shorten
from app.pages.figures import show_percent
from loopcast.config import Problem
from loopcast.grid import has_calendar_steps, to_local
from loopcast.typing import Floats, Times

INTERVALS: Final = ((0.025, 0.975), (0.1, 0.9))
"""Levels at the ends of the 95 % and of the 80 % interval, which every problem has."""
SHOWN_LEVELS: Final = (0.025, 0.1, 0.5, 0.9, 0.975)
"""In the table that is always open."""
OPACITIES: Final = (0.18, 0.36)
CLOSE_UP_RATIO: Final = 3
"""Steps of history for each step of forecast, when one looks closer."""


@dataclass(frozen=True)
class Row:
    """One target step of the table.

    Attributes:
        target_utc: Label of the step.
        day, year: Of the step in the problem's time zone.
        values: One for each level, as written.
    """

    target_utc: datetime
    day: str
    year: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Quantiles in rows.

    Attributes:
        levels: Heads of the columns, as written; the median by its name.
        rows: Earliest first.
    """

    levels: tuple[str, ...]
    rows: tuple[Row, ...]


def draw_fan(found: Answered, problem: Problem, title: str) -> Chart:
    """The past as a line, and the forecast as two bands around its median, both from the origin on."""
    times = np.concatenate([found.past_utc, found.target_utc])
    n_before, n_after = len(found.past_utc) - 1, len(found.target_utc)
    lines = [
        Line("Observed", _fill(found.past, before=0, after=n_after), "ink"),
        Line("Median", _continue(found, 0.5, problem, n_before), "accent", "dashed"),
    ]
    bands = []
    for (low, high), opacity in zip(INTERVALS, OPACITIES, strict=True):
        name = show_percent(high - low, digits=0)
        ends = {low: f"{name} from", high: f"{name} to"}
        lines += [Line(ends[level], _continue(found, level, problem, n_before), "accent", "hidden") for level in ends]
        bands.append(Band(f"{name} interval", ends[low], ends[high], "accent", opacity))
    seconds = place_times(times, problem)
    return Chart(
        title=title,
        unit=problem.unit,
        times=seconds,
        clock=name_clock(problem),
        lines=lines,
        bands=bands,
        marks=[Mark("history ends", seconds[n_before])],
        close_up_from=seconds[max(0, n_before - CLOSE_UP_RATIO * n_after)],
    )


def place_times(times: Times, problem: Problem) -> list[float]:
    """Places on the axis of a chart, in seconds: dates as their own midnight, instants as they are."""
    shown = to_local(times, problem) if has_calendar_steps(problem) else times
    return [float(each) for each in shown.astype("datetime64[s]").astype(np.int64)]


def name_clock(problem: Problem) -> Clock:
    """How the times of a problem's charts are to be read."""
    return "date" if has_calendar_steps(problem) else "local"


def table_forecast(found: Answered, problem: Problem, levels: Sequence[float]) -> Table:
    """The quantiles at some levels, with as many decimals as the narrowest interval needs."""
    places = [problem.quantiles.index(level) for level in levels]
    decimals = count_decimals(found.quantiles)
    zone = ZoneInfo(problem.time_zone)
    days = [as_utc(target).astimezone(zone) for target in found.target_utc]
    return Table(
        levels=tuple(map(_name_level, levels)),
        rows=tuple(
            Row(
                target_utc=day.astimezone(UTC),
                day=f"{day:%a} {day.day} {day:%b}",
                year=f"{day:%Y}",
                values=tuple(f"{value:,.{decimals}f}" for value in values[places]),
            )
            for day, values in zip(days, found.quantiles, strict=True)
        ),
    )


def count_decimals(quantiles: Floats) -> int:
    """Decimals in which neighbouring intervals can be told apart: three digits of the narrowest.

    >>> count_decimals(np.array([[380.0, 404.0, 430.0]])), count_decimals(np.array([[0.01, 0.02]]))
    (1, 4)
    """
    width = float((quantiles[:, -1] - quantiles[:, 0]).min())
    return min(max(2 - int(np.floor(np.log10(width))), 0), 9) if width > 0 else 2


def _continue(found: Answered, level: float, problem: Problem, n_before: int) -> list[float | None]:
    values = found.quantiles[:, problem.quantiles.index(level)]
    return _fill(np.r_[found.origin_value, values], before=n_before, after=0)


def _fill(values: Floats, before: int, after: int) -> list[float | None]:
    return [*[None] * before, *shorten(values), *[None] * after]


def _name_level(level: float) -> str:
    r"""A level at the head of a column.

    >>> _name_level(0.025), _name_level(0.1), _name_level(0.5)
    ('2.5\u202f%', '10\u202f%', 'Median')
    """
    digits = 0 if round(100 * level, 6).is_integer() else 1
    return "Median" if level == 0.5 else show_percent(level, digits=digits)
