"""The thing that is deployed: quantiles of the coming changes at any ready row.

Every candidate keeps the `Forecaster` protocol, so that each can be judged, promoted and served in the same way.
"""

from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pandas as pd

from loopcast.config import Problem
from loopcast.errors import DataRefusedError
from loopcast.features import Design, build_design
from loopcast.grid import steps_after
from loopcast.model.split import Split
from loopcast.typing import Floats, Ints


class Candidate(StrEnum):
    """The rivals, simplest first: of two with equal loss the earlier is offered."""

    RANDOM_WALK = "random_walk"
    HISTORICAL_SIMULATION = "historical_simulation"
    EWMA = "ewma"
    GARCH_T = "garch_t"
    HAR = "har"
    LINEAR = "linear"
    LSTM = "lstm"


class Forecaster(Protocol):
    """A fitted candidate."""

    candidate: ClassVar[Candidate]

    @classmethod
    def fit(cls, design: Design, split: Split, problem: Problem) -> Self:
        """The candidate fitted on the origins before the split's test block."""

    def quantiles(self, design: Design, rows: Ints) -> Floats:
        """The quantiles of the change of the level over each horizon, ascending, shape (n, H, K)."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """All that was fitted: values for JSON, and arrays."""

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]], problem: Problem) -> Self:
        """The forecaster whose `state` this was."""


def forecast_panel(forecaster: Forecaster, panel: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """The forecast of each series from its last step: one row per series and horizon, one column per quantile.

    Args:
        panel: A frame that keeps `contracts.Panel`.

    Returns:
        Columns series_id, origin_utc, target_utc, horizon, and `q_LEVEL` for each level, in the target's unit.

    Raises:
        DataRefusedError: A series to be forecast is too short for its features.
    """
    design = build_design(panel, problem)
    last = np.flatnonzero(np.r_[design.series[1:] != design.series[:-1], True])
    wanted = last[[problem.is_forecast(design.series_ids[code]) for code in design.series[last]]]
    if len(short := wanted[~design.is_ready[wanted]]):
        row = short[0]
        raise DataRefusedError(
            f"{design.series_ids[design.series[row]]}: {design.position[row] + 1} neighbouring observed steps up to "
            f"{design.timestamp_utc[row]}, needs {problem.features.scales[-1] + 1}; send a longer history"
        )
    return forecast_rows(forecaster.quantiles(design, wanted), design, wanted, problem)


def forecast_rows(quantiles: Floats, design: Design, rows: Ints, problem: Problem) -> pd.DataFrame:
    """Quantiles of changes as forecasts of the target; columns as in `forecast_panel`.

    Args:
        quantiles: Shape (n, H, K).
        rows: Their origins, shape (n,).
    """
    levels = design.level[rows, None, None] + quantiles
    values = np.exp(levels) if problem.transform == "log" else levels
    origins, horizon = design.timestamp_utc[rows], problem.horizon
    targets = steps_after(origins[:, None], np.arange(1, horizon + 1), problem)
    frame = pd.DataFrame(
        {
            "series_id": np.asarray(design.series_ids, dtype=object)[np.repeat(design.series[rows], horizon)],
            "origin_utc": pd.DatetimeIndex(origins.repeat(horizon)).tz_localize("UTC"),
            "target_utc": pd.DatetimeIndex(targets.ravel()).tz_localize("UTC"),
            "horizon": np.tile(np.arange(1, horizon + 1), len(rows)),
        }
    )
    columns = pd.DataFrame(
        values.reshape(-1, len(problem.quantiles)), columns=[quantile_column(q) for q in problem.quantiles]
    )
    return pd.concat([frame, columns], axis=1)


def quantile_column(level: float) -> str:
    """The name of a quantile's column.

    >>> quantile_column(0.025)
    'q_0.025'
    """
    return f"q_{level:g}"
