"""The newest forecast of a series, had its last steps been different.

A snapshot holds the target, what its prices said of each step, and the covariates. A changed target takes the prices of
its step along: their range stays, and the jump lies between the close before and the open. The steps ahead are known by
their calendar alone, which nobody can change.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from pydantic import BaseModel

from loopcast.cells import PRICE_COLUMNS, value_columns
from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.evidence.formats import format_value, name_steps
from loopcast.evidence.metrics import interval_ends
from loopcast.evidence.record import RECORD, Moment
from loopcast.features import Design, build_design
from loopcast.grid import steps_after
from loopcast.queries.champion import Champion, as_moment
from loopcast.queries.kinds import Report
from loopcast.queries.requests import ColumnChange, Operation, WhatIfRequest
from loopcast.queries.waiting import wait_telling
from loopcast.queries.wording import describe_width
from loopcast.typing import Bools, Floats

SAME_RATIO: Final = 0.0005
"""Share of the median below which its change is not told."""


class StepDifference(BaseModel):
    """One step ahead, as it is and as if."""

    model_config = RECORD

    horizon: int
    target_utc: Moment
    as_it_is: tuple[float, ...]
    """Quantiles of the target, in its unit, by the levels."""
    as_if: tuple[float, ...]
    median_difference: float
    """As if less as it is, in the target's unit."""
    width_80_ratio: float | None
    """Width of the 80 % interval as if over that as it is, both on the level's scale; None for one of no width."""


class WhatIf(BaseModel):
    """Both forecasts, and how they differ."""

    model_config = RECORD

    series_id: str
    model_version: int
    unit: str
    origin_utc: Moment
    origin_value_as_it_is: float
    origin_value_as_if: float
    levels: tuple[float, ...]
    steps: tuple[StepDifference, ...]
    sentences: tuple[str, ...]


def ask_what_if(request: WhatIfRequest, champion: Champion, report: Report) -> WhatIf:
    """The newest forecast of a series, as it is and as if.

    Raises:
        DataRefusedError: The series is not forecast, or a change is of a column that the problem does not have, or
            leads to values that cannot be.
    """
    row, problem, history = champion.find_latest(request.series_id), champion.problem, champion.history
    tell = partial(report, 0.2, f"Preparing {len(history):,} steps as if")
    tell()
    changed = change_history(history, request.series_id, request.changes, problem)
    design = wait_telling(partial(build_design, changed, problem), tell)
    if not design.is_ready[row]:
        raise DataRefusedError(f"{request.series_id}: as if, the last step shows no variance; change less")
    report(0.9, "Forecasting")
    return _compare(request, champion, design, row)


def change_history(
    history: pd.DataFrame, series_id: str, changes: Sequence[ColumnChange], problem: Problem
) -> pd.DataFrame:
    """The history with changed last steps of one series, and the rest as it was.

    Args:
        history: A frame that keeps `contracts.Panel`; it is not changed.

    Raises:
        DataRefusedError: The problem has no such column, the series not so many steps, or a value cannot be.
    """
    is_mine = (history["series_id"] == series_id).to_numpy()
    is_observed = ~history["is_filled"].to_numpy()
    changed = history.copy()
    for change in changes:
        column = _find_column(change, problem)
        observed = np.flatnonzero(is_mine & is_observed)
        if change.last_n_steps > len(observed):
            raise DataRefusedError(
                f"{series_id}: found a change of the last {change.last_n_steps:,} steps, needs at most "
                f"{len(observed):,}, which are known"
            )
        # From an observed step on: those that were missing and carry its value carry the changed one.
        is_changed = is_mine & (np.arange(len(history)) >= observed[-change.last_n_steps])
        values = changed[column].to_numpy(dtype=float, copy=True)
        values[is_changed] = _apply(change, values[is_changed])
        _refuse_values(change, values[is_changed], column, problem)
        changed[column] = values
    return _move_prices(history, changed, is_mine) if problem.columns.ohlc else changed


def _find_column(change: ColumnChange, problem: Problem) -> str:
    """The panel's name of a column that can be changed."""
    columns = value_columns(problem)
    known = {source: name for name, source in reversed(columns.items()) if name not in PRICE_COLUMNS}
    if change.column == "target" and "target" not in known:  # as histories that are sent call it
        return "target"
    if change.column not in known:
        is_price = change.column in columns.values()
        hint = f"; prices move with {problem.columns.target}" if is_price else ""
        raise DataRefusedError(
            f"{problem.name}: found a change of `{change.column}`, needs one of {', '.join(sorted(known))}{hint}"
        )
    return known[change.column]


@np.errstate(over="ignore")  # what comes of it is refused
def _apply(change: ColumnChange, values: Floats) -> Floats:
    match change.operation:
        case Operation.ADD:
            return values + change.value
        case Operation.MULTIPLY:
            return values * change.value
        case Operation.SET:
            return np.full_like(values, change.value)


def _refuse_values(change: ColumnChange, values: Floats, column: str, problem: Problem) -> None:
    is_log = {f"covariate_{each.column}": each.transform == "log" for each in problem.columns.covariates}
    is_log["target"] = problem.transform == "log"
    is_bad = np.isinf(values) | (values <= 0 if is_log[column] else False)
    if is_bad.any():
        needs = "a finite value above zero, of which a log can be taken" if is_log[column] else "a finite number"
        raise DataRefusedError(f"{change.column}: as if it would be {format_value(values[is_bad][0])}, needs {needs}")


def _move_prices(history: pd.DataFrame, changed: pd.DataFrame, is_mine: Bools) -> pd.DataFrame:
    """The changed history with what prices that moved with the target say of each step."""
    shift = np.where(is_mine, np.log(changed["target"] / history["target"]), 0.0)
    overnight = history["overnight_change"].to_numpy()
    moved = overnight + np.where(is_mine, np.diff(shift, prepend=0.0), 0.0)
    within = np.maximum(history["range_variance"] - overnight**2, 0.0)
    return changed.assign(overnight_change=moved, range_variance=within + moved**2)


def _compare(request: WhatIfRequest, champion: Champion, design: Design, row: int) -> WhatIf:
    model, problem, levels = champion.model, champion.problem, np.asarray(champion.problem.quantiles)
    changes = [model.quantiles(each, np.array([row]))[0] for each in (champion.design, design)]
    with np.errstate(over="ignore"):
        as_it_is, as_if = (
            np.exp(each.level[row] + change) if problem.transform == "log" else each.level[row] + change
            for each, change in zip((champion.design, design), changes, strict=True)
        )
    if not np.isfinite(as_if).all():
        raise DataRefusedError(f"{request.series_id}: as if, the forecast is no number; change less")
    widths = [high - low for low, high in (interval_ends(change[None], levels, 0.80) for change in changes)]
    ratios = [float(b / a) if a > 0 else None for a, b in zip(widths[0][0], widths[1][0], strict=True)]
    median = int(np.argmin(np.abs(levels - 0.5)))
    origin = design.timestamp_utc[row : row + 1]
    targets = steps_after(origin, np.arange(1, problem.horizon + 1), problem)
    steps = tuple(
        StepDifference(
            horizon=h + 1,
            target_utc=as_moment(targets[h]),
            as_it_is=tuple(as_it_is[h].tolist()),
            as_if=tuple(as_if[h].tolist()),
            median_difference=float(as_if[h, median] - as_it_is[h, median]),
            width_80_ratio=ratios[h],
        )
        for h in range(problem.horizon)
    )
    return WhatIf(
        series_id=request.series_id,
        model_version=champion.version,
        unit=problem.unit,
        origin_utc=as_moment(origin[0]),
        origin_value_as_it_is=float(champion.design.target[row]),
        origin_value_as_if=float(design.target[row]),
        levels=problem.quantiles,
        steps=steps,
        sentences=(
            f"As if: {'; '.join(_describe_change(change, problem) for change in request.changes)}.",
            *(_describe_step(steps[i], median, problem) for i in sorted({0, problem.horizon - 1})),
        ),
    )


def _describe_change(change: ColumnChange, problem: Problem) -> str:
    words = {
        Operation.ADD: f"{abs(change.value):,g} {'higher' if change.value > 0 else 'lower'}",
        Operation.MULTIPLY: f"times {change.value:,g}",
        Operation.SET: f"at {change.value:,g}",
    }
    steps = name_steps(problem, change.last_n_steps).removeprefix("1 ")
    return f"{change.column} {words[change.operation]} in the last {steps}"


def _describe_step(step: StepDifference, median: int, problem: Problem) -> str:
    ahead = f"{name_steps(problem, step.horizon)} ahead"
    width = (
        "" if step.width_80_ratio is None else f"the 80 % interval is {describe_width(step.width_80_ratio)} it is now, "
    )
    before, after = (format_value(each[median]) for each in (step.as_it_is, step.as_if))
    is_same = abs(step.median_difference) <= SAME_RATIO * abs(step.as_it_is[median])
    moved = f"the median stays at {before}" if is_same else f"the median goes from {before} to {after}"
    return f"{ahead[0].upper()}{ahead[1:]} {width}{moved} {problem.unit}."
