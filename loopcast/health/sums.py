"""Sums over judged steps, by day, model version, series and horizon: small, additive, and all that skill needs.

A day is that of the target, so that a forecast counts when it comes true.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import DataFrame, Series
from scipy.special import ndtri

from loopcast.config import Problem
from loopcast.contracts import Utc
from loopcast.health.steps import Column, Steps, measure_change, measure_columns, reach_of
from loopcast.typing import Floats

KEYS: Final = ["day_utc", "model_version", "series_id", "horizon"]


class StepSums(pa.DataFrameModel):
    """One row per day, model version, series and horizon. Losses in the level's unit unless they are in reaches."""

    day_utc: Series[Utc]
    """Midnight of the targets' day."""
    model_version: Series[int]
    series_id: Series[str]
    horizon: Series[int] = pa.Field(ge=1)
    n_steps: Series[float] = pa.Field(ge=0)
    n_judged: Series[float] = pa.Field(ge=0)
    """Steps whose actual is known; the sums below are of these, but for `expected_pending`."""
    loss: Series[float] = pa.Field(ge=0)
    baseline_loss: Series[float] = pa.Field(ge=0)
    loss_in_reaches: Series[float] = pa.Field(ge=0)
    baseline_loss_in_reaches: Series[float] = pa.Field(ge=0)
    n_covered_80: Series[float] = pa.Field(ge=0)
    n_covered_95: Series[float] = pa.Field(ge=0)
    absolute_error: Series[float] = pa.Field(ge=0)
    """Of the median."""
    expected_loss: Series[float] = pa.Field(ge=0)
    """What the baseline expected of itself, from the volatility at the origins."""
    expected_pending: Series[float] = pa.Field(ge=0)
    """The same of the steps whose actual is not known."""
    persistence_error: Series[float] = pa.Field(ge=0, nullable=True)
    """Absolute error of the last value, as if nothing changed; NaN where it was not added up yet."""

    class Config:
        """One row per key, nothing else."""

        strict = True
        unique = ["day_utc", "model_version", "series_id", "horizon"]
        coerce = True


def sum_steps(steps: Steps, problem: Problem, values: Mapping[Column, Floats] | None = None) -> DataFrame[StepSums]:
    """The sums of some steps; those of a series that stands still are counted, and judged by nothing.

    Args:
        values: Columns of the steps, where they have been measured already.
    """
    values = measure_columns(steps, problem) if values is None else values
    reach = reach_of(steps.ewma_deviation, steps.horizon)
    expected = np.nan_to_num(reach) * expected_pinball(np.asarray(problem.quantiles))
    is_judged = np.isfinite(values[Column.PINBALL])
    judged = {
        "n_judged": np.ones(len(steps)),
        "loss": values[Column.PINBALL] * reach,
        "baseline_loss": values[Column.BASELINE_PINBALL] * reach,
        "loss_in_reaches": values[Column.PINBALL],
        "baseline_loss_in_reaches": values[Column.BASELINE_PINBALL],
        "n_covered_80": values[Column.IS_COVERED_80],
        "n_covered_95": values[Column.IS_COVERED_95],
        "absolute_error": values[Column.ABSOLUTE_ERROR] * reach,
        "expected_loss": expected,
    }
    frame = pd.DataFrame(
        {
            "day_utc": steps.target_utc.astype("datetime64[D]").astype("datetime64[us]"),
            "model_version": steps.model_version,
            "series_id": steps.series,
            "horizon": steps.horizon,
            "n_steps": np.ones(len(steps)),
            **{name: np.where(is_judged, value, 0.0) for name, value in judged.items()},
            "expected_pending": np.where(is_judged, 0.0, expected),
            "persistence_error": np.where(is_judged, np.abs(measure_change(steps, problem)), 0.0),
        }
    )
    sums = frame.groupby(KEYS, as_index=False).sum()
    sums["day_utc"] = sums["day_utc"].dt.tz_localize("UTC")
    sums["series_id"] = np.asarray(steps.series_ids, dtype=object)[sums["series_id"].to_numpy()]
    return StepSums.validate(sums)


def add_sums(*parts: DataFrame[StepSums]) -> DataFrame[StepSums]:
    """The sums of all the parts' steps, which must not share a step."""
    return StepSums.validate(pd.concat(parts).groupby(KEYS, as_index=False).sum())


def expected_pinball(levels: Floats) -> float:
    """Mean pinball loss of a normal forecast that is right, in its own deviations.

    >>> round(expected_pinball(np.array([0.5])), 4)
    0.3989
    """
    return float(np.mean(np.exp(-(ndtri(levels) ** 2) / 2)) / np.sqrt(2 * np.pi))
