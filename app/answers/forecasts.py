"""What is answered about forecasts: themselves, where they come from, and why they are as wide as they are."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field

from app.answers.base import Answer
from app.examples import EXPLANATION, FORECASTS, LINEAGE, STORED_FORECAST
from loopcast.forecasts import ForecastSource

Quantiles = Annotated[dict[str, list[float]], Field(description="By level, one value for each target step.")]
Targets = Annotated[list[AwareDatetime], Field(description="The steps that are forecast, earliest first.")]


class SeriesForecast(Answer):
    """The forecast of one series from its last step."""

    forecast_id: UUID
    """Under which it is stored."""
    series_id: str
    origin_utc: AwareDatetime
    """The last observed step that the forecast knows."""
    target_utc: Targets
    quantiles: Quantiles


class ForecastAnswer(Answer):
    """Forecasts in the order of the request."""

    model_config = ConfigDict(json_schema_extra={"examples": [FORECASTS]})

    request_id: str
    problem: str
    unit: str
    """Of the target and of the quantiles."""
    model_version: int
    """Which computed the forecasts."""
    forecasts: list[SeriesForecast]


class StoredForecast(Answer):
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


class Lineage(Answer):
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


class Contribution(Answer):
    """What one group of features does to the width."""

    group: str
    log_stretch: float
    """Its exact Shapley value."""
    width_ratio: float
    """e to that power: 1.1 makes the intervals a tenth wider."""


class Explanation(Answer):
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


def name_level(level: float) -> str:
    """The key under which the quantiles of a level are answered.

    >>> name_level(0.025)
    '0.025'
    """
    return str(level)
