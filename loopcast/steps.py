"""How accepted rows become steps: in order, one row per series and step, and short gaps filled."""

import numpy as np
import pandas as pd

from loopcast.cells import PRICE_COLUMNS, value_columns
from loopcast.config import Problem
from loopcast.grid import place_on_grid, steps_after
from loopcast.typing import Bools, Ints


def unite_steps(rows: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """One row per series and step, ordered by both and labelled by the step.

    Of several rows in a step `problem.aggregate` makes one, its prices first, highest, lowest and last.

    Args:
        rows: n rows of `series_id`, `timestamp_utc`, `step_utc` and the columns of `value_columns`, in any order.
    """
    values = list(value_columns(problem))
    times = rows["timestamp_utc"].to_numpy(dtype="datetime64[us]")
    rows = rows.iloc[np.lexsort((times, pd.factorize(rows["series_id"], sort=True)[0]))].reset_index(drop=True)
    if problem.aggregate != "none":
        is_new = find_heads(rows) | (rows["step_utc"] != rows["step_utc"].shift())
        steps = rows.groupby(is_new.cumsum(), sort=False)
        united = steps[values].sum(min_count=1) if problem.aggregate == "sum" else steps[values].agg(problem.aggregate)
        if problem.columns.ohlc:
            united = united.assign(open=steps["open"].first(), high=steps["high"].max(), low=steps["low"].min())
        rows = steps[["series_id", "step_utc"]].first().join(united).reset_index(drop=True)
    rows = rows.assign(timestamp_utc=rows["step_utc"], is_filled=False)
    return rows[["series_id", "timestamp_utc", "target", "is_filled", *values[1:]]]


def fill_gaps(panel: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """The panel with rows for missing steps, where a run of at most `problem.fill_steps` of them is missing.

    They carry the values before the gap, but no prices: nothing was traded.

    Args:
        panel: What `unite_steps` returns.
    """
    labels = panel["timestamp_utc"].to_numpy(dtype="datetime64[us]")
    source, n_after = spread_steps(place_on_grid(labels, problem).numbers, find_heads(panel), problem)
    filled = panel.iloc[source].reset_index(drop=True)
    filled["is_filled"] = n_after > 0
    filled.loc[n_after > 0, [name for name in PRICE_COLUMNS if name in filled]] = np.nan
    filled["timestamp_utc"] = pd.DatetimeIndex(steps_after(labels[source], n_after, problem)).tz_localize("UTC")
    return filled


def spread_steps(numbers: Ints, is_head: Bools, problem: Problem) -> tuple[Ints, Ints]:
    """For each row once short gaps are filled: the row that it repeats, and how many steps after it it lies.

    Args:
        numbers: Count of each row's step, ascending within a series, shape (n,).
        is_head: Whether the row is the first of its series, shape (n,).

    Returns:
        Two arrays of shape (m,), m >= n.
    """
    n_missing = numbers[1:] - numbers[:-1] - 1
    n_rows = np.ones_like(numbers)
    n_rows[:-1] += np.where(~is_head[1:] & (n_missing > 0) & (n_missing <= problem.fill_steps), n_missing, 0)
    source = np.repeat(np.arange(len(numbers)), n_rows)
    return source, np.arange(len(source)) - (np.cumsum(n_rows) - n_rows)[source]


def count_runs(numbers: Ints, is_head: Bools, problem: Problem) -> Ints:
    """Number of the run of neighbouring steps that each row is in, from 0 upwards, shape (n,).

    Args:
        numbers, is_head: As in `spread_steps`.
    """
    begins = is_head.copy()
    begins[1:] |= numbers[1:] - numbers[:-1] - 1 > problem.bridge_steps
    return np.cumsum(begins) - 1


def find_heads(rows: pd.DataFrame) -> Bools:
    """Whether each row is the first of its series, for rows in the order of their series."""
    return (rows["series_id"] != rows["series_id"].shift()).to_numpy(dtype=np.bool_)
