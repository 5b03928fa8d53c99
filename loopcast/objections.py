"""Why no model should be made of a panel, or what was left out of it: too few steps, absent series, splits."""

import difflib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.prices import Split, find_splits
from loopcast.typing import Bools, Ints

MAX_NAMED: Final = 5
"""Things that a sentence names; the others are counted."""


def tally_series(
    series_ids: "pd.Series[str]", is_refused: Bools, panel: pd.DataFrame, segments: Ints, problem: Problem
) -> pd.DataFrame:
    """Source rows, refused rows, observed steps and usable steps of each series: those whose run can hold an origin.

    Args:
        series_ids: Series of each source row, shape (n,), missing where unknown.
        is_refused: Shape (n,).
        panel: m rows.
        segments: Run of neighbouring steps that each row of the panel is in, shape (m,).
    """
    is_observed = ~panel["is_filled"].to_numpy(dtype=np.bool_)
    is_usable = is_observed & (np.bincount(segments)[segments] >= _least_run(problem))
    counts = {
        "n_rows": series_ids,
        "n_refused": series_ids[is_refused],
        "n_steps": panel["series_id"][is_observed],
        "n_usable": panel["series_id"][is_usable],
    }
    return pd.DataFrame({name: ids.value_counts() for name, ids in counts.items()}).fillna(0).astype(int).sort_index()


def judge_series(tally: pd.DataFrame, problem: Problem) -> tuple[list[str], list[str]]:
    """Notes on series left out as too short, and objections where one of `forecast_series` is short or absent.

    Where no series is named, and so all are forecast, a short one is left out too: a new shop must not stop the others.

    Args:
        tally: What `tally_series` returns.
    """
    short = tally[tally["n_usable"] < problem.quality.min_rows]
    objections = [_miss(name, tally, problem) for name in problem.forecast_series if name not in tally.index]
    objections += [_describe(row, problem) for row in short.itertuples() if row.Index in problem.forecast_series]
    left_out = [_describe(row, problem) for row in short.itertuples() if row.Index not in problem.forecast_series]
    if len(short) == len(tally) and not objections:
        return [], [
            f"{problem.name}: no series is long enough: {_enumerate(left_out) or 'the source has no usable row'}"
        ]
    return ([f"{len(left_out)} series left out: {_enumerate(left_out)}"] if left_out else []), objections


def judge_splits(panel: pd.DataFrame, segments: Ints, problem: Problem) -> tuple[list[str], list[str]]:
    """A note or, as `quality.suspected_split` says, an objection, where a log target jumps as an unadjusted price does.

    Args:
        panel: Observed rows, n of them.
        segments: Run of neighbouring steps that each row is in, shape (n,).
    """
    splits = find_splits(panel, segments) if problem.transform == "log" else []
    if not splits:
        return [], []
    jumps = f"{len(splits)} jumps look like share splits: {_enumerate(_date(split, problem) for split in splits)}"
    if problem.quality.suspected_split == "accept":
        return [f"{jumps}; taken as they are"], []
    advice = "map an adjusted column to columns.target, or set quality.suspected_split: accept"
    return [], [f"{problem.name}: {jumps}; {advice}"]


def _least_run(problem: Problem) -> int:
    """Steps that an origin takes: the features behind it and the horizon before it."""
    return problem.features.scales[-1] + problem.horizon + 1


def _miss(series_id: str, tally: pd.DataFrame, problem: Problem) -> str:
    near = difflib.get_close_matches(series_id, tally.index, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    found = _enumerate(tally.index)
    return f"{problem.name}: forecast_series names {series_id}, which the source lacks; {hint}found {found}"


def _describe(row: Any, problem: Problem) -> str:
    is_broken = row.n_steps >= problem.quality.min_rows
    runs = f", {row.n_usable:,} of them in runs of {_least_run(problem)} without a long gap" if is_broken else ""
    return (
        f"{row.Index}: {row.n_rows:,} rows, {row.n_refused:,} refused, make {row.n_steps:,} steps{runs}; "
        f"needs {problem.quality.min_rows:,}; "
        "widen the source, lower quality.min_rows, or drop the series"
    )


def _date(split: Split, problem: Problem) -> str:
    date = split.timestamp_utc.tz_convert(problem.time_zone).date()
    return f"{split.series_id} on {date} by {split.ratio:.3g}"


def _enumerate(items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - MAX_NAMED:,} more" if len(items) > MAX_NAMED else ""
    return ", ".join(items[:MAX_NAMED]) + more
