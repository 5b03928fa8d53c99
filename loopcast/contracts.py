"""The frames that pass between steps, each with the rules that its rows keep. How rows are refused is for `panel`."""

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

Utc = Annotated[pd.DatetimeTZDtype, "us", "UTC"]


class Observation(pa.DataFrameModel):
    """One row per reading: the rules that a row keeps by itself. A source row that breaks one is refused."""

    series_id: Series[str] = pa.Field(str_length={"min_value": 1})
    timestamp_utc: Series[Utc]
    target: Series[float] = pa.Field(gt=float("-inf"), lt=float("inf"))
    """The observed value, in the problem's unit."""


class Panel(Observation):
    """One row per series and step, ordered by both; the form in which everything downstream reads data.

    Beside the columns below a panel has one `covariate_NAME` column for each covariate of its problem.
    """

    is_filled: Series[bool]
    """True where the step was missing and carries the last value: never an origin, never a target."""
    range_variance: Series[float] | None = pa.Field(ge=0, nullable=True)
    """Variance of the log target over the step, from OHLC: overnight² + Garman-Klass. Empty where unknown."""
    overnight_change: Series[float] | None = pa.Field(nullable=True)
    """Log of the step's open over the close before it, adjusted as the target is. Empty where unknown."""

    @pa.dataframe_check(error="rows must ascend by series and time")
    def _ordered(cls, frame: pd.DataFrame) -> bool:
        is_head = frame["series_id"] != frame["series_id"].shift()
        ascends = is_head | (frame["timestamp_utc"].diff() > pd.Timedelta(0))
        return bool(is_head.sum() == frame["series_id"].nunique() and ascends.all())

    class Config:
        """No duplicates; covariates are extra columns, so not strict."""

        unique = ["series_id", "timestamp_utc"]
        coerce = True


class Quarantine(pa.DataFrameModel):
    """One row per refused source row: where it stood, why, and the whole row as JSON."""

    row_number: Series[int] = pa.Field(ge=0)
    """Zero-based position in the source."""
    series_id: Series[str] = pa.Field(nullable=True)
    reason: Series[str]
    row_json: Series[str]

    class Config:
        """Nothing else is kept."""

        strict = True
        coerce = True


class OriginLosses(pa.DataFrameModel):
    """Out-of-sample loss of each candidate at each origin: what the gate and the tests of skill read."""

    candidate: Series[str]
    series_id: Series[str]
    origin_utc: Series[Utc]
    pinball: Series[float] = pa.Field(ge=0)
    """Mean over horizons and quantiles, in the transformed target's unit."""
    is_covered_80: Series[float] = pa.Field(ge=0, le=1)
    """Share of the horizons inside the 80 % interval."""
    is_covered_95: Series[float] = pa.Field(ge=0, le=1)

    class Config:
        """One row per candidate, series and origin."""

        unique = ["candidate", "series_id", "origin_utc"]
        coerce = True


class Track(pa.DataFrameModel):
    """Out-of-sample forecasts of one series beside what came true, one row per origin and horizon.

    Beside the columns below a track has one `q_LEVEL` column for each quantile of its problem.
    """

    series_id: Series[str]
    origin_utc: Series[Utc]
    target_utc: Series[Utc]
    horizon: Series[int] = pa.Field(ge=1)
    actual: Series[float]

    class Config:
        """One row per origin and horizon."""

        unique = ["series_id", "origin_utc", "horizon"]
        coerce = True


class LearningCurves(pa.DataFrameModel):
    """Loss of each network after each epoch, in scales; epoch 0 is the untrained baseline."""

    seed: Series[int]
    epoch: Series[int] = pa.Field(ge=0)
    train_loss: Series[float] = pa.Field(nullable=True)
    validation_loss: Series[float]

    class Config:
        """One row per network and epoch."""

        strict = True
        unique = ["seed", "epoch"]
        coerce = True


class Explanation(pa.DataFrameModel):
    """What moves a model's intervals: the mean absolute Shapley value of each feature in each bucket of lags."""

    feature: Series[str]
    lag_bucket: Series[str]
    importance: Series[float] = pa.Field(ge=0)
    """Of the log-stretch: 0.1 means that the group moves the width by a tenth."""

    class Config:
        """One row per feature and bucket."""

        strict = True
        unique = ["feature", "lag_bucket"]
        coerce = True
