"""Histories that a caller sends along with its question, as the arrays that a model reads.

They get what a source gets from `panel.build_panel`, but for the frames: that takes a hundred times as long, and a
caller waits. What a source would lose to the quarantine is refused here, with the row.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design, Steps, design_steps
from loopcast.grid import place_on_grid, steps_after
from loopcast.prices import measure_ranges
from loopcast.steps import count_runs, spread_steps
from loopcast.timestamps import FIRST_YEAR, LAST_YEAR
from loopcast.typing import Bools, Floats, Times

MAX_SPAN_STEPS: Final = 20_000
"""From the first row of a request to the last: seventy years of trading days. Calendars are laid out for the whole
span, which takes a second for three centuries, while others wait."""


@dataclass(frozen=True)
class SeriesHistory:
    """The last steps of one series, oldest first; n steps.

    Attributes:
        series_id: Name of the series.
        timestamp_utc: Labels of the steps, or for steps of days and longer any time of their dates, shape (n,),
            datetime64[us].
        target: In the problem's unit, shape (n,).
        ohlc: Open, high, low and close of each step, shape (n, 4), NaN where unknown; None where the problem has none.
        covariates: By column, each of shape (n,), NaN where unknown.
    """

    series_id: str
    timestamp_utc: Times
    target: Floats
    ohlc: Floats | None
    covariates: Mapping[str, Floats]


def design_histories(histories: Sequence[SeriesHistory], problem: Problem) -> Design:
    """The design of the histories, equal to the last bit to that of the panel that a source with their rows becomes.

    Raises:
        DataRefusedError: A history lacks something, has a row that would be refused in a source, or ends too soon
            after its start or after a gap for a forecast from its last row.
    """
    rows = _Rows(histories, problem)
    rows.refuse_bad_cells()
    years = rows.timestamp_utc.astype("datetime64[Y]").astype(int) + 1970
    rows.refuse(~((years >= FIRST_YEAR) & (years <= LAST_YEAR)), f"needs a time from {FIRST_YEAR} to {LAST_YEAR}")
    rows.refuse(
        rows.timestamp_utc < rows.timestamp_utc.max() - MAX_SPAN_STEPS * _mean_step(problem.frequency),
        f"is more than {MAX_SPAN_STEPS:,} steps before the last one; send fewer",
    )
    placement = place_on_grid(rows.timestamp_utc, problem)
    rows.refuse(
        ~placement.is_exact,
        f"lies between two steps; needs the start of one of `{problem.frequency}` in {problem.time_zone}",
    )
    rows.refuse(
        ~rows.is_head & (np.diff(placement.numbers, prepend=0) <= 0),
        "is not after the row before it; needs each step once, oldest first",
    )
    source, n_after = spread_steps(placement.numbers, rows.is_head, problem)
    is_filled = n_after > 0
    segments = count_runs(placement.numbers[source] + n_after, rows.is_head[source] & ~is_filled, problem)
    target = rows.target[source]
    range_variance = overnight_change = None
    if rows.ohlc is not None:
        prices = np.where(is_filled[:, None], np.nan, rows.ohlc[source])
        range_variance, overnight_change = measure_ranges(target, prices, segments)
    steps = Steps(
        series_ids=tuple(each.series_id for each in rows.histories),
        series=rows.series[source],
        timestamp_utc=steps_after(placement.steps_utc[source], n_after, problem),
        target=target,
        is_filled=is_filled,
        segments=segments,
        range_variance=range_variance,
        overnight_change=overnight_change,
        covariates=rows.covariates[:, source],
    )
    design = design_steps(steps, problem)
    _refuse_short(design, problem)
    return design


class _Rows:
    """The rows of all histories, one below the other, in the order of their series; N rows, C covariates."""

    def __init__(self, histories: Sequence[SeriesHistory], problem: Problem) -> None:
        _refuse_shapes(histories, problem)
        self.problem = problem
        self.histories = sorted(histories, key=lambda each: each.series_id)
        self.lengths = [len(each.target) for each in self.histories]
        self.series = np.repeat(np.arange(len(self.histories)), self.lengths)
        self.is_head: Bools = np.diff(self.series, prepend=-1) != 0
        self.timestamp_utc = np.concatenate([each.timestamp_utc for each in self.histories]).astype("datetime64[us]")
        self.target = np.concatenate([each.target for each in self.histories]).astype(float)
        names = [each.column for each in problem.columns.covariates]
        covariates = [np.concatenate([each.covariates[name] for each in self.histories]) for name in names]
        self.covariates = _keep_finite(np.stack(covariates) if names else np.empty((0, len(self.target))))
        prices = [each.ohlc for each in self.histories if each.ohlc is not None]
        self.ohlc = _keep_finite(np.concatenate(prices)) if problem.columns.ohlc else None

    def refuse_bad_cells(self) -> None:
        """Refuse the first target that is no finite number, or not positive where its log is taken."""
        self._refuse(~np.isfinite(self.target), self.target, "needs a finite number; leave rows without a value out")
        if self.problem.transform == "log":
            self._refuse(self.target <= 0, self.target, "needs a value above zero, of which a log can be taken")

    def refuse(self, is_bad: Bools, sentence: str) -> None:
        """Refuse the first row whose time is bad."""
        self._refuse(is_bad, self.timestamp_utc, sentence)

    def _refuse(self, is_bad: Bools, values: Floats | Times, sentence: str) -> None:
        if is_bad.any():
            row = int(np.argmax(is_bad))
            first = int(np.flatnonzero(self.is_head[: row + 1])[-1])
            name = self.histories[self.series[row]].series_id
            _refuse(self.problem, f"{name}: row {row - first}: {values[row]} {sentence}")


def _refuse(problem: Problem, sentence: str) -> NoReturn:
    raise DataRefusedError(f"{problem.name}: {sentence}")


def _refuse_shapes(histories: Sequence[SeriesHistory], problem: Problem) -> None:
    """Refuse histories that lack rows or columns, and two of one series."""
    if not histories:
        _refuse(problem, "no history was sent; needs at least one")
    counts = Counter(each.series_id for each in histories)
    for name, count in counts.items():
        if count > 1:
            _refuse(problem, f"{name}: {count} histories; needs one for each series")
        if problem.columns.series_id is None and name != problem.name:
            _refuse(problem, f"found series {name}; there is one series, which has the name of the problem")
    for each in histories:
        n_rows = len(each.target)
        if not n_rows:
            _refuse(problem, f"{each.series_id}: the history has no rows; needs {problem.features.scales[-1] + 1}")
        if problem.columns.ohlc and each.ohlc is None:
            _refuse(problem, f"{each.series_id}: no open, high, low and close; send them, empty where unknown")
        wanted = [column.column for column in problem.columns.covariates]
        if missing := [name for name in wanted if name not in each.covariates]:
            _refuse(problem, f"{each.series_id}: no covariate {', '.join(missing)}; send it, empty where unknown")
        arrays = {"timestamp_utc": each.timestamp_utc, **{name: each.covariates[name] for name in wanted}}
        if problem.columns.ohlc and each.ohlc is not None:
            arrays["ohlc"] = each.ohlc
        for name, values in arrays.items():
            if len(values) != n_rows:
                _refuse(problem, f"{each.series_id}: {n_rows} targets and {len(values)} rows of {name}; needs as many")


def _refuse_short(design: Design, problem: Problem) -> None:
    """Refuse series whose last row is no origin of a forecast."""
    for row in np.flatnonzero(np.diff(design.series, append=-1) != 0):
        if design.is_ready[row]:
            continue
        name, needed = design.series_ids[design.series[row]], problem.features.scales[-1] + 1
        if (found := int(design.position[row]) + 1) < needed:
            _refuse(problem, f"{name}: {found} neighbouring steps up to {design.timestamp_utc[row]}, needs {needed}; "
                             f"send a longer history")  # fmt: skip
        _refuse(problem, f"{name}: no step shows a variance; send the open, high, low and close of some")


def _keep_finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


@lru_cache(maxsize=16)
def _mean_step(frequency: str) -> np.timedelta64:
    """Length of a step, over some years of them."""
    n_steps, begin = 1000, pd.Timestamp("2001-01-01")
    end = pd.date_range(begin, periods=n_steps + 1, freq=frequency)
    return np.timedelta64((end[-1] - end[0]).value // n_steps // 1000, "us")
