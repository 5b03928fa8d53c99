"""What is answered: the shapes that /openapi.json documents. Which values they get is for the routes."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.errors import ErrorCode
from app.examples import EXPLANATION, FORECASTS, LINEAGE, MODEL, PROBLEM, SERIES, STORED_FORECAST
from loopcast.forecasts import ForecastSource

Quantiles = Annotated[dict[str, list[float]], Field(description="By level, one value for each target step.")]
Targets = Annotated[list[AwareDatetime], Field(description="The steps that are forecast, earliest first.")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorDetail(_Answer):
    """One mistake in a request."""

    where: str
    message: str


class ErrorSentence(_Answer):
    """Why a request was refused."""

    code: ErrorCode
    message: str
    """What was found, what is needed, the next step."""
    request_id: str
    details: list[ErrorDetail] | None = None


class ErrorAnswer(_Answer):
    """The one shape of every refusal."""

    error: ErrorSentence


class SeriesForecast(_Answer):
    """The forecast of one series from its last step."""

    forecast_id: UUID
    """Under which it is stored."""
    series_id: str
    origin_utc: AwareDatetime
    """The last observed step that the forecast knows."""
    target_utc: Targets
    quantiles: Quantiles


class ForecastAnswer(_Answer):
    """Forecasts in the order of the request."""

    model_config = ConfigDict(json_schema_extra={"examples": [FORECASTS]})

    request_id: str
    problem: str
    unit: str
    """Of the target and of the quantiles."""
    model_version: int
    """Which computed the forecasts."""
    forecasts: list[SeriesForecast]


class StoredForecast(_Answer):
    """A forecast as it was stored, and what came true since."""

    model_config = ConfigDict(json_schema_extra={"examples": [STORED_FORECAST]})

    forecast_id: UUID
    problem: str
    series_id: str
    model_version: int
    source: ForecastSource
    request_id: str
    issued_at_utc: AwareDatetime
    origin_utc: AwareDatetime
    origin_value: float
    """The target at the origin."""
    target_utc: Targets
    quantiles: Quantiles
    actual: list[float | None]
    """What came true at each target step, on the scale of the origin; null where not yet known."""


class Lineage(_Answer):
    """Where a stored forecast comes from; null where the version that made it is not known any more."""

    model_config = ConfigDict(json_schema_extra={"examples": [LINEAGE]})

    forecast_id: UUID
    problem: str
    series_id: str
    origin_utc: AwareDatetime
    source: ForecastSource
    request_id: str
    issued_at_utc: AwareDatetime
    features_digest: str
    """BLAKE2b of the features that the model read, in hexadecimal."""
    model_version: int
    candidate: str | None
    weights_sha256: str | None
    run_id: str | None
    """Of the training in MLflow."""
    execution_id: str | None
    """Of the workflow in Flyte."""
    execution_url: str | None
    git_commit: str | None
    is_git_dirty: bool | None
    snapshot_sha256: str | None
    """Of the data that the version was trained on."""
    snapshot_url: str | None
    trained_until_utc: AwareDatetime | None
    registered_at_utc: AwareDatetime | None


class Problem(_Answer):
    """A problem that is served: what is forecast, and what a history needs."""

    model_config = ConfigDict(json_schema_extra={"examples": [PROBLEM]})

    problem: str
    title: str
    unit: str
    frequency: str
    """Step of the series, a pandas offset alias such as `B`, `D`, `h`, `15min`."""
    time_zone: str
    """In which a date alone is read."""
    horizon: int
    """Steps ahead, at most."""
    quantiles: list[float]
    """The levels that can be asked for."""
    history_columns: list[str]
    """What a history must bring."""
    history_min_rows: int
    """Neighbouring steps, below which no forecast is made."""
    history_full_rows: int
    """Steps from which on all that the network reads is computed from full windows."""
    model_version: int


class Problems(_Answer):
    """The problems that are served and that the asker may use."""

    problems: list[Problem]


class SeriesState(_Answer):
    """A series that can be asked for by its name."""

    series_id: str
    origin_utc: AwareDatetime
    """Its last step, from which it is forecast."""


class SeriesPage(_Answer):
    """Series by name, in alphabetical order."""

    model_config = ConfigDict(json_schema_extra={"examples": [SERIES]})

    problem: str
    series: list[SeriesState]
    next_after: str | None = None
    """To be given as `after` for the next page; null on the last."""


class History(_Answer):
    """The last steps of a series that can be forecast by its name, earliest first."""

    problem: str
    series_id: str
    unit: str
    history_sha256: str
    """The snapshot that they come from."""
    timestamp_utc: list[AwareDatetime]
    value: list[float]
    """The target at each step."""


class ModelLineage(_Answer):
    """Where a model version comes from."""

    weights_sha256: str
    snapshot_sha256: str
    run_id: str
    execution_id: str | None
    execution_url: str | None
    git_commit: str | None
    is_git_dirty: bool | None


class Model(_Answer):
    """The model version in service."""

    model_config = ConfigDict(json_schema_extra={"examples": [MODEL]})

    problem: str
    model_version: int
    candidate: str
    trained_until_utc: AwareDatetime
    registered_at_utc: AwareDatetime
    history_sha256: str
    """The snapshot from which series are forecast by name."""
    metrics: dict[str, float | None]
    """Of its backtest, by name and unit; null where one could not be known."""
    lineage: ModelLineage


class Contribution(_Answer):
    """What one group of features does to the width."""

    group: str
    log_stretch: float
    """Its exact Shapley value."""
    width_ratio: float
    """e to that power: 1.1 makes the intervals a tenth wider."""


class Explanation(_Answer):
    """Why intervals are as wide as they are: the expected ratio, times that of each group, gives the one found."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXPLANATION]})

    request_id: str
    problem: str
    model_version: int
    series_id: str
    origin_utc: AwareDatetime
    expected_width_ratio: float
    """Width over the baseline's, with every feature at its mean."""
    found_width_ratio: float
    """Width over the baseline's, with the features as they are."""
    contributions: list[Contribution]
    """Greatest first."""


class Readiness(_Answer):
    """Whether this worker answers forecasts, and if not, why."""

    is_ready: bool
    reasons: list[str]


class Liveness(_Answer):
    """The worker runs."""

    is_alive: bool


def name_level(level: float) -> str:
    """The key under which the quantiles of a level are answered.

    >>> name_level(0.025)
    '0.025'
    """
    return str(level)


def as_utc(instant: np.datetime64) -> datetime:
    """An instant of an array as an answer shows it."""
    moment: datetime = instant.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
