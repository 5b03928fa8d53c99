"""How a figure is written: names of candidates, percentages, values, losses and times, the same everywhere."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from pandas.tseries.offsets import Day, Tick

from loopcast.config import Problem
from loopcast.evidence.comparison import Comparison

CANDIDATE_NAMES: Final = {
    "random_walk": "the random walk",
    "historical_simulation": "historical simulation",
    "ewma": "EWMA",
    "garch_t": "GARCH(1,1)-t",
    "har": "the HAR regression",
    "linear": "the linear head",
    "lstm": "the residual LSTM",
}
"""Candidates as they are called within a sentence."""
STEP_NAMES: Final = {
    "B": "business day",
    "D": "day",
    "h": "hour",
    "min": "minute",
    "W": "week",
    "MS": "month",
    "ME": "month",
}
"""Frequencies as people say them; any other is "step"."""
DASH: Final = "–"
"""What stands for an undefined figure."""
LEAST_P: Final = 0.001
"""Smaller chances are written as being below it."""


def name_candidate(name: str) -> str:
    """A candidate's name at the head of a line.

    >>> name_candidate("garch_t"), name_candidate("linear"), name_candidate("my_model")
    ('GARCH(1,1)-t', 'Linear head', 'My model')
    """
    words = name_within(name).removeprefix("the ")
    return words[0].upper() + words[1:]


def name_within(name: str) -> str:
    """A candidate's name within a sentence, with its article."""
    return CANDIDATE_NAMES.get(name, name.replace("_", " "))


def format_percent(ratio: float, digits: int = 1, sign: str = "") -> str:
    """A ratio as a percentage, a dash where it is undefined; `sign="+"` writes the sign of gains as well.

    >>> format_percent(0.0178, sign="+"), format_percent(0.8, digits=0), format_percent(float("nan"))
    ('+1.8 %', '80 %', '–')
    >>> format_percent(-0.0002), format_percent(-0.0002, sign="+")
    ('0.0 %', '+0.0 %')
    """
    if not np.isfinite(ratio):
        return DASH
    return f"{round(100 * ratio, digits) + 0.0:{sign}.{digits}f} %"  # adding zero takes the sign of a negative one


def format_value(value: float) -> str:
    """A value in four significant digits, a dash where it is undefined.

    >>> format_value(806.19), format_value(0.012345), format_value(123456.7), format_value(0.0)
    ('806.2', '0.01235', '123,457', '0')
    """
    if not np.isfinite(value):
        return DASH
    digits = max(3 - int(np.floor(np.log10(abs(value)))), 0) if value else 0
    return f"{value:,.{digits}f}"


def format_ratio(ratio: float) -> str:
    """A ratio to an error in three decimals, a dash where it is undefined.

    >>> format_ratio(0.9876), format_ratio(float("nan"))
    ('0.988', '–')
    """
    return f"{ratio:.3f}" if np.isfinite(ratio) else DASH


def format_loss(problem: Problem, loss: float) -> str:
    """A pinball or Winkler loss in the unit of `name_loss_unit`, which stands beside it."""
    return format_value(1e4 * loss if problem.transform == "log" else loss)


def name_loss_unit(problem: Problem) -> str:
    """Unit of losses: basis points of a logarithm, else the target's own."""
    return "bp" if problem.transform == "log" else problem.unit


def format_gain(comparison: Comparison | None) -> tuple[str, str]:
    """A gain in percent and its t statistic; dashes where there is none, as of a baseline against itself."""
    if comparison is None or not np.isfinite(comparison.gain_ratio):
        return DASH, DASH
    return format_percent(comparison.gain_ratio, sign="+"), f"{comparison.t_statistic:.1f}"


def format_chance(p_value: float) -> str:
    """A p value.

    >>> format_chance(0.0312), format_chance(1e-9)
    ('p = 0.031', 'p < 0.001')
    """
    return f"p < {LEAST_P:g}" if p_value < LEAST_P else f"p = {p_value:.3f}"


def format_time(problem: Problem, time_utc: datetime) -> str:
    """A date in the problem's time zone, with the time of day where steps are shorter than a day."""
    is_intraday = isinstance(problem.offset, Tick) and not isinstance(problem.offset, Day)
    return time_utc.astimezone(ZoneInfo(problem.time_zone)).strftime("%Y-%m-%d %H:%M" if is_intraday else "%Y-%m-%d")


def name_steps(problem: Problem, n_steps: int) -> str:
    """A number of steps as people say it: "1 hour", "5 business days", "8 steps of 15min"."""
    name = STEP_NAMES.get(problem.frequency, "step")
    count = f"{n_steps} {name}{'' if n_steps == 1 else 's'}"
    return count if problem.frequency in STEP_NAMES else f"{count} of {problem.frequency}"


def align_columns(rows: Sequence[Sequence[str]], n_left: int = 1) -> list[str]:
    """Rows as lines of equal columns, the first `n_left` to the left, the others to the right.

    >>> align_columns([["", "t"], ["EWMA", "6.2"]])
    ['        t', 'EWMA  6.2']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(n) if k < n_left else cell.rjust(n) for k, (cell, n) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
