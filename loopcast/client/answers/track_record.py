"""What is answered of how forecasts did."""

from datetime import date
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from loopcast.client.answers.base import Answer

if TYPE_CHECKING:
    from pandas import DataFrame


class TrackFigures(Answer):
    """How some steps did; None where none of them has come true."""

    n_steps: int
    n_judged: int
    n_pending: int
    loss: float | None
    skill_ratio: float | None
    coverage_80_ratio: float | None
    coverage_95_ratio: float | None
    absolute_error: float | None
    persistence_error: float | None
    error_ratio: float | None


class Advantage(Answer):
    """How much better than a forecast that costs nothing, and whether that is more than chance."""

    gain_ratio: float | None
    p_value: float
    n_days: int


class HorizonRecord(Answer):
    """How the forecasts of so many steps ahead did."""

    horizon: int
    figures: TrackFigures


class VersionRecord(Answer):
    """How the forecasts of a model version did, after the data that it was trained on."""

    model_version: int
    candidate: str | None
    trained_until_utc: AwareDatetime | None
    figures: TrackFigures | None
    n_trained: int


class TrackCurve(Answer):
    """How it went over time: each point over the last `trailing_days` judged days, or as many as there are."""

    trailing_days: int
    day_utc: tuple[AwareDatetime, ...]
    n_judged: tuple[int, ...]
    skill_ratio: tuple[float | None, ...]
    coverage_80_ratio: tuple[float | None, ...]
    coverage_95_ratio: tuple[float | None, ...]
    error_ratio: tuple[float | None, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each point, earliest first."""
        from pandas import DataFrame

        return DataFrame(self.model_dump(exclude={"trailing_days"}))


class TrackChart(Answer):
    """What was forecast of one series and horizon first at each origin, beside what came true."""

    series_id: str
    horizon: int
    n_origins: int
    n_shown: int
    origin_utc: tuple[AwareDatetime, ...]
    target_utc: tuple[AwareDatetime, ...]
    model_version: tuple[int, ...]
    origin_value: tuple[float, ...]
    median: tuple[float, ...]
    low_80: tuple[float, ...]
    high_80: tuple[float, ...]
    low_95: tuple[float, ...]
    high_95: tuple[float, ...]
    actual: tuple[float | None, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each origin, earliest first."""
        from pandas import DataFrame

        return DataFrame(self.model_dump(exclude={"series_id", "horizon", "n_origins", "n_shown"}))


class TrackRecord(Answer):
    """How forecasts did, out of what was asked for; of targets from one day to another, both included."""

    problem: str
    series_id: str | None
    model_version: int | None
    horizon: int | None
    since: date | None
    until: date | None
    rolled_up_until_utc: AwareDatetime | None
    n_waiting_days: int
    overall: TrackFigures
    vs_ewma: Advantage
    vs_persistence: Advantage
    by_horizon: tuple[HorizonRecord, ...]
    by_version: tuple[VersionRecord, ...]
    curve: TrackCurve
    chart: TrackChart | None
