"""How the champion did in a window, from the sums of its steps: skill, coverage and error, with labels that come late.

What is concluded from it stands in `verdict`.
"""

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from pandera.typing import DataFrame
from pydantic import BaseModel

from loopcast.evidence.comparison import Comparison, compare
from loopcast.evidence.record import RECORD
from loopcast.health.sums import StepSums

TOTALS: Final = [
    "n_steps", "n_judged", "loss", "baseline_loss", "n_covered_80", "n_covered_95", "expected_loss", "expected_pending",
    "scaled_error", "n_scaled",
]  # fmt: skip


class Figures(BaseModel):
    """How some steps did; NaN where none of them has come true."""

    model_config = RECORD

    n_judged: int
    loss: float
    """Mean pinball loss, in the level's unit."""
    skill_ratio: float
    """1 - loss / loss of the EWMA baseline."""
    coverage_80_ratio: float
    coverage_95_ratio: float
    mase: float
    """Absolute error of the median over the series' mean one-step change in training; series of the profile only."""


class Performance(BaseModel):
    """What has come true of a window, and how good it was."""

    model_config = RECORD

    n_steps: int
    n_due: int
    """Steps whose day has passed, but for days that their series did not have."""
    label_ratio: float
    """Share of all steps that has come true; NaN where there is none."""
    late_ratio: float
    """Share of the steps that are due whose actual is missing."""
    overall: Figures
    by_horizon: dict[int, Figures]
    by_series: dict[str, Figures]
    n_days: int
    """Judged days."""
    vs_ewma: Comparison
    """Of the daily losses."""
    expected_loss: float
    """Early estimate of the loss of steps that have not come true: what the volatility at their origins promises the
    baseline, corrected by how the champion did against that promise so far."""


def measure_performance(
    sums: DataFrame[StepSums], mean_changes: Mapping[str, float], *, due_until: datetime, horizon_days: int
) -> Performance:
    """The figures of a window; one without a step, or without a label, has counts of zero and figures of NaN.

    Args:
        sums: Of one model version, in the window.
        mean_changes: Mean absolute one-step change of each series in training, in the level's unit.
        due_until: Label of the first step whose actual may still be to come; a day counts as due when it ended before.
        horizon_days: Days from an origin to its last target.
    """
    rows = _scale_errors(sums, mean_changes)
    totals = rows[TOTALS].sum()
    n_due, n_due_judged = _count_due(sums, due_until)
    n_pending = totals["n_steps"] - totals["n_judged"]
    by_day = rows.groupby("day_utc")[["loss", "baseline_loss", "n_judged"]].sum()
    days = by_day[by_day["n_judged"] > 0]
    return Performance(
        n_steps=int(totals["n_steps"]),
        n_due=int(n_due),
        label_ratio=_divide(totals["n_judged"], totals["n_steps"]),
        late_ratio=1 - _divide(n_due_judged, n_due),
        overall=_figures(totals.to_dict()),
        by_horizon={int(str(horizon)): found for horizon, found in _figures_by(rows, "horizon").items()},
        by_series={str(name): found for name, found in _figures_by(rows, "series_id").items()},
        n_days=len(days),
        vs_ewma=compare(
            (days["loss"] / days["n_judged"]).to_numpy(dtype=float),
            (days["baseline_loss"] / days["n_judged"]).to_numpy(dtype=float),
            days.index.astype("int64").to_numpy(),
            horizon_days,
        ),
        expected_loss=_divide(totals["expected_pending"], n_pending) * _divide(totals["loss"], totals["expected_loss"]),
    )


def _count_due(sums: pd.DataFrame, due_until: datetime) -> tuple[float, float]:
    """Steps whose day has ended, and those of them that are judged.

    A day of a series without any actual, before one that has some, is passed over: the series did not have it, as no
    exchange has its holidays, and nothing will come. The later day itself need not be due yet.
    """
    due = sums[sums["day_utc"] + pd.Timedelta(days=1) <= pd.Timestamp(due_until)]
    judged = sums[sums["n_judged"] > 0]
    last = due["series_id"].map(judged.groupby("series_id")["day_utc"].max())
    had = pd.MultiIndex.from_frame(judged[["series_id", "day_utc"]])
    is_passed_over = (due["day_utc"] < last) & ~pd.MultiIndex.from_frame(due[["series_id", "day_utc"]]).isin(had)
    due = due[~is_passed_over]
    return float(due["n_steps"].sum()), float(due["n_judged"].sum())


def _scale_errors(sums: DataFrame[StepSums], mean_changes: Mapping[str, float]) -> pd.DataFrame:
    """The sums, with errors in mean changes of their series, and the steps of series that have one."""
    scale = sums["series_id"].map(dict(mean_changes)).to_numpy(dtype=float)
    is_scaled = scale > 0
    return sums.assign(
        scaled_error=np.where(is_scaled, sums["absolute_error"] / np.where(is_scaled, scale, 1.0), 0.0),
        n_scaled=np.where(is_scaled, sums["n_judged"], 0.0),
    )


def _figures_by(rows: pd.DataFrame, key: str) -> dict[Hashable, Figures]:
    sums = rows.groupby(key)[TOTALS].sum()
    return {name: _figures(found) for name, found in sums.to_dict(orient="index").items()}


def _figures(totals: Mapping[Hashable, float]) -> Figures:
    n = totals["n_judged"]
    return Figures(
        n_judged=int(n),
        loss=_divide(totals["loss"], n),
        skill_ratio=1 - _divide(totals["loss"], totals["baseline_loss"]),
        coverage_80_ratio=_divide(totals["n_covered_80"], n),
        coverage_95_ratio=_divide(totals["n_covered_95"], n),
        mase=_divide(totals["scaled_error"], totals["n_scaled"]),
    )


def _divide(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole > 0 else float("nan")
