"""What is answered of forecasts: new ones, stored ones, where they come from, and why they are so wide."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import AwareDatetime

from loopcast.client.answers.base import Answer

if TYPE_CHECKING:
    from pandas import DataFrame

Quantiles = Mapping[str, tuple[float, ...]]
"""By level, one value for each target step."""


class SeriesForecast(Answer):
    """The forecast of one series from its last step."""

    forecast_id: UUID
    series_id: str
    origin_utc: AwareDatetime
    target_utc: tuple[AwareDatetime, ...]
    quantiles: Quantiles


class ForecastAnswer(Answer):
    """Forecasts in the order in which they were asked for."""

    request_id: str
    problem: str
    unit: str
    model_version: int
    forecasts: tuple[SeriesForecast, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each series and target step, a column for each level."""
        from pandas import DataFrame, concat

        return concat(
            [
                DataFrame(
                    {
                        "forecast_id": str(each.forecast_id),
                        "series_id": each.series_id,
                        "origin_utc": each.origin_utc,
                        "target_utc": each.target_utc,
                        **each.quantiles,
                    }
                )
                for each in self.forecasts
            ],
            ignore_index=True,
        )


class StoredForecast(Answer):
    """A forecast as it was stored, and what came true since; null where not yet known."""

    forecast_id: UUID
    problem: str
    series_id: str
    model_version: int
    source: str
    request_id: str
    issued_at_utc: AwareDatetime
    origin_utc: AwareDatetime
    origin_value: float
    target_utc: tuple[AwareDatetime, ...]
    quantiles: Quantiles
    actual: tuple[float | None, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each target step, a column for each level, and what came true."""
        from pandas import DataFrame

        actual = [float("nan") if value is None else value for value in self.actual]
        return DataFrame({"target_utc": self.target_utc, **self.quantiles, "actual": actual})


class Lineage(Answer):
    """Where a stored forecast comes from; null where the version that made it is not known any more."""

    forecast_id: UUID
    problem: str
    series_id: str
    origin_utc: AwareDatetime
    source: str
    request_id: str
    issued_at_utc: AwareDatetime
    features_digest: str
    model_version: int
    candidate: str | None
    weights_sha256: str | None
    run_id: str | None
    execution_id: str | None
    execution_url: str | None
    git_commit: str | None
    is_git_dirty: bool | None
    snapshot_sha256: str | None
    snapshot_url: str | None
    trained_until_utc: AwareDatetime | None
    registered_at_utc: AwareDatetime | None


class Contribution(Answer):
    """What one group of features does to the width of the intervals."""

    group: str
    log_stretch: float
    width_ratio: float


class Explanation(Answer):
    """Why intervals are as wide as they are: the expected ratio, times that of each group, gives the one found."""

    request_id: str
    problem: str
    model_version: int
    series_id: str
    origin_utc: AwareDatetime
    expected_width_ratio: float
    found_width_ratio: float
    contributions: tuple[Contribution, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each group of features, the greatest first."""
        from pandas import DataFrame

        return DataFrame([each.model_dump() for each in self.contributions])
