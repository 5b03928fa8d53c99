"""What is answered of the past: the shapes of track record, health, models and events. Forecasts' are in `answers`."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from loopcast.health.condition import Finding, Severity
from loopcast.health.day_summary import Aspect
from loopcast.health.drift import Measure
from loopcast.health.track_record import Advantage, TrackFigures
from loopcast.stores.actions import ActionKind, ActionState
from loopcast.stores.conditions import Severity as AlertSeverity
from loopcast.stores.decisions import DecisionKind
from loopcast.stores.timeline import EventKind

Known = float | None
"""A figure, null where it could not be known."""
Values = Annotated[list[float | None], Field(description="One for each moment; null where it is not known.")]


class _Reading(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HorizonRecord(_Reading):
    """How the forecasts of so many steps ahead did."""

    horizon: int
    figures: TrackFigures


class VersionRecord(_Reading):
    """How the forecasts of a model version did, after the data that it was trained on."""

    model_version: int
    candidate: str | None
    trained_until_utc: AwareDatetime | None
    figures: TrackFigures | None
    """Null where it made none but of days that it was trained on."""
    n_trained: int
    """Judged steps of days that it was trained on, which are left out of everything else."""


class TrackCurve(_Reading):
    """How it went over time: each point over the last `trailing_days` judged days, or as many as there are."""

    trailing_days: int
    day_utc: list[AwareDatetime]
    n_judged: list[int]
    """Since the point before."""
    skill_ratio: Values
    coverage_80_ratio: Values
    coverage_95_ratio: Values
    error_ratio: Values


class TrackChart(_Reading):
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


class TrackRecord(_Reading):
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


class WindowFigures(_Reading):
    """How the window of a look did."""

    n_judged: int
    n_due: int
    late_ratio: Known
    skill_ratio: Known
    coverage_80_ratio: Known
    coverage_95_ratio: Known
    mase: Known


class FoundCondition(_Reading):
    """Something that a look found not to be as it should."""

    finding: Finding
    aspect: Aspect
    severity: Severity
    series_id: str | None
    sentence: str


class LastLook(_Reading):
    """What monitoring found when it looked last."""

    as_of_utc: AwareDatetime
    """The step up to which it judged."""
    looked_at_utc: AwareDatetime | None
    """By the clock."""
    model_version: int
    window: WindowFigures | None
    """Null, like what follows, where it was looked before figures were kept."""
    refused_ratio: Known
    duplicated_ratio: Known
    n_tests: int
    n_drifted: int
    drift_excess: dict[Measure, Known]
    """Share of the way to the threshold, of the series that went furthest: above 1 is drift."""
    skill_excess: Known
    """Share of the way to the threshold at which a training is called for."""
    cooldown_days: int
    conditions: list[FoundCondition]
    n_conditions: int


class HealthCurve(_Reading):
    """What each look found, earliest first."""

    as_of_utc: list[AwareDatetime]
    model_version: list[int]
    worst: dict[Aspect, list[Severity | None]]
    """Null for nothing found."""
    skill_excess: Values
    drift_excess: Values
    """Of the measure that went furthest."""
    skill_ratio: Values
    coverage_80_ratio: Values
    coverage_95_ratio: Values


class OpenAlert(_Reading):
    """A condition that lasts."""

    kind: str
    subject: str
    severity: AlertSeverity
    sentence: str
    action: str
    link: str | None
    raised_at_utc: AwareDatetime
    last_seen_at_utc: AwareDatetime
    n_seen: int


class OpenAction(_Reading):
    """Something that monitoring has called for and that is not over."""

    kind: ActionKind
    state: ActionState
    model_version: int
    sentence: str
    triggered_at_utc: AwareDatetime
    n_attempts: int
    outcome: str


class HealthLinks(_Reading):
    """Where more is to be seen; null where no address is known."""

    evidently: str | None
    mlflow: str | None
    """Of the training of the version in service."""


class Health(_Reading):
    """How the loop does now, and how it did."""

    problem: str
    model_version: int | None
    """In service."""
    open_alerts: list[OpenAlert]
    """The gravest first."""
    open_actions: list[OpenAction]
    last_look: LastLook | None
    """Null where nobody has looked yet."""
    curve: HealthCurve
    links: HealthLinks


class Event(_Reading):
    """Something that happened."""

    moment_utc: AwareDatetime
    kind: EventKind
    what: str
    """In snake case: `promotion`, `retrain_called_for`, `alert_raised`."""
    subject: str
    """A version, a series or a workflow; empty for the problem."""
    sentence: str
    actor: str
    severity: str
    link: str | None
    new_champion: str | None
    """The version that came into service."""


class Events(_Reading):
    """What happened, the latest first."""

    problem: str
    events: list[Event]
    next_before: str | None
    """To be given as `before` for what lies further back; null where nothing does."""


class Decision(_Reading):
    """What was decided about a version, by which rule and on which figures."""

    id: UUID
    kind: DecisionKind
    model_version: str
    champion_before: str | None
    champion_after: str | None
    rule: str
    reasons: list[str]
    figures: dict[str, Known]
    actor: str
    decided_at_utc: AwareDatetime


class Decisions(_Reading):
    """Decisions, the latest first."""

    problem: str
    decisions: list[Decision]


class ModelVersion(_Reading):
    """A trained model."""

    model_version: int
    candidate: str
    trained_until_utc: AwareDatetime
    registered_at_utc: AwareDatetime
    is_champion: bool
    """By the last decision."""
    is_serving: bool
    """In the worker that answers; it follows a decision within seconds."""
    last_decision: Decision | None
    """About this version."""
    snapshot_sha256: str
    run_url: str | None


class Models(_Reading):
    """The versions of a problem, the latest first."""

    problem: str
    champion_version: int | None
    predecessor_version: int | None
    """That a rollback would put into service; null where there is none."""
    versions: list[ModelVersion]


class Snapshot(_Reading):
    """The data that a version was trained on."""

    sha256: str
    url: str | None
    """Null, like what follows, where it is not known here."""
    n_rows: int | None
    n_series: int | None
    first_utc: AwareDatetime | None
    last_utc: AwareDatetime | None


class ModelVersionDetail(_Reading):
    """A version, and all that leads back from it."""

    problem: str
    version: ModelVersion
    weights_sha256: str
    run_id: str
    git_commit: str | None
    is_git_dirty: bool | None
    execution_id: str | None
    execution_url: str | None
    snapshot: Snapshot
    metrics: dict[str, Known] | None
    """Of its backtest; null unless it is in service."""
    decisions: list[Decision]
    """About it, the latest first."""
