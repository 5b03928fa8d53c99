"""What is answered of how forecasts did."""

from datetime import date

from pydantic import AwareDatetime

from app.answers.base import Answer
from loopcast.health.track_record import Advantage, TrackCurve, TrackFigures, Values


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
    """Null where it made none but of days that it was trained on."""
    n_trained: int
    """Judged steps of days that it was trained on, which are left out of everything else."""


class TrackChart(Answer):
    """What was forecast of one series and horizon first at each origin, beside what came true."""

    series_id: str
    horizon: int
    n_origins: int
    """In the stretch."""
    n_shown: int
    """Of them, evenly spaced, the last among them."""
    origin_utc: list[AwareDatetime]
    target_utc: list[AwareDatetime]
    model_version: list[int]
    origin_value: list[float]
    """What was last known: the forecast that nothing changes."""
    median: list[float]
    low_80: list[float]
    high_80: list[float]
    low_95: list[float]
    high_95: list[float]
    actual: Values
    """On the scale of the origin."""


class TrackRecord(Answer):
    """How forecasts did, out of what was asked for; of targets from one day to another, both included."""

    problem: str
    series_id: str | None
    model_version: int | None
    horizon: int | None
    since: date | None
    until: date | None
    """Null where nothing was ever judged."""
    rolled_up_until_utc: AwareDatetime | None
    """Before it all that is stored is counted; null where nothing is. Monitoring moves it on."""
    n_waiting_days: int
    """That a forecast or an actual has touched since they were counted."""
    overall: TrackFigures
    vs_ewma: Advantage
    """Of the loss, by the means of its days."""
    vs_persistence: Advantage
    """Of the median's error, likewise."""
    by_horizon: list[HorizonRecord]
    by_version: list[VersionRecord]
    curve: TrackCurve
    chart: TrackChart | None
    """Null where no series was asked for."""
