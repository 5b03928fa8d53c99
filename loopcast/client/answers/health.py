"""What is answered of how the loop does, and of what happened."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from loopcast.client.answers.base import Answer

if TYPE_CHECKING:
    from pandas import DataFrame


class WindowFigures(Answer):
    """How the window of a look did."""

    n_judged: int
    n_due: int
    late_ratio: float | None
    skill_ratio: float | None
    coverage_80_ratio: float | None
    coverage_95_ratio: float | None
    mase: float | None


class FoundCondition(Answer):
    """Something that a look found not to be as it should."""

    finding: str
    aspect: str
    severity: str
    series_id: str | None
    sentence: str


class LastLook(Answer):
    """What monitoring found when it looked last."""

    as_of_utc: AwareDatetime
    looked_at_utc: AwareDatetime | None
    model_version: int
    window: WindowFigures | None
    refused_ratio: float | None
    duplicated_ratio: float | None
    n_tests: int
    n_drifted: int
    drift_excess: Mapping[str, float | None]
    skill_excess: float | None
    cooldown_days: int
    conditions: tuple[FoundCondition, ...]
    n_conditions: int


class HealthCurve(Answer):
    """What each look found, earliest first."""

    as_of_utc: tuple[AwareDatetime, ...]
    model_version: tuple[int, ...]
    worst: Mapping[str, tuple[str | None, ...]]
    skill_excess: tuple[float | None, ...]
    drift_excess: tuple[float | None, ...]
    skill_ratio: tuple[float | None, ...]
    coverage_80_ratio: tuple[float | None, ...]
    coverage_95_ratio: tuple[float | None, ...]

    def to_frame(self) -> "DataFrame":
        """A row for each look, earliest first."""
        from pandas import DataFrame

        return DataFrame(self.model_dump(exclude={"worst"}))


class OpenAlert(Answer):
    """A condition that lasts."""

    kind: str
    subject: str
    severity: str
    sentence: str
    action: str
    link: str | None
    raised_at_utc: AwareDatetime
    last_seen_at_utc: AwareDatetime
    n_seen: int


class OpenAction(Answer):
    """Something that monitoring has called for and that is not over."""

    kind: str
    state: str
    model_version: int
    sentence: str
    triggered_at_utc: AwareDatetime
    n_attempts: int
    outcome: str


class HealthLinks(Answer):
    """Where more is to be seen; null where no address is known."""

    evidently: str | None
    mlflow: str | None


class Health(Answer):
    """How the loop does now, and how it did."""

    problem: str
    model_version: int | None
    open_alerts: tuple[OpenAlert, ...]
    open_actions: tuple[OpenAction, ...]
    last_look: LastLook | None
    curve: HealthCurve
    links: HealthLinks


class Event(Answer):
    """Something that happened."""

    moment_utc: AwareDatetime
    kind: str
    what: str
    subject: str
    sentence: str
    actor: str
    severity: str
    link: str | None
    new_champion: str | None


class Events(Answer):
    """What happened, the latest first."""

    problem: str
    events: tuple[Event, ...]
    next_before: str | None
