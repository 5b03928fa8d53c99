"""The frames that pass between steps, each with the rules that its rows keep. How rows are refused stands in `panel`."""

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

Utc = Annotated[pd.DatetimeTZDtype, "us", "UTC"]


class Panel(pa.DataFrameModel):
    """One row per series and step, ordered by both; the form in which everything downstream reads data.

    Beside the columns below a panel has one `covariate_NAME` column for each covariate of its problem.
    """

    series_id: Series[str] = pa.Field(str_length={"min_value": 1})
    timestamp_utc: Series[Utc]
    target: Series[float] = pa.Field(nullable=False)
    """The observed value, in the problem's unit."""
    is_filled: Series[bool]
    """True where the step was missing and carries the last value: never an origin, never a target."""
    range_variance: Series[float] | None = pa.Field(ge=0, nullable=True)
    """Variance of the log target over the step, from OHLC: squared overnight move + Garman-Klass."""
    overnight_change: Series[float] | None = pa.Field(nullable=True)
    """Log of the step's open over the close before it, adjusted as the target is."""

    @pa.dataframe_check(error="target must be finite")
    def _finite(cls, frame: pd.DataFrame) -> "pd.Series[bool]":
        return frame["target"].abs() < float("inf")

    @pa.dataframe_check(error="rows must ascend by series and time")
    def _ordered(cls, frame: pd.DataFrame) -> bool:
        return bool((frame["series_id"].shift() != frame["series_id"]).sum() == frame["series_id"].nunique()) and bool(
            (
                (frame["timestamp_utc"].diff() > pd.Timedelta(0)) | (frame["series_id"].shift() != frame["series_id"])
            ).all()
        )

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
