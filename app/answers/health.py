"""What is answered of how the loop does, and of what happened to it."""

from pydantic import AwareDatetime

from app.answers.base import Answer, Known
from loopcast.health.condition import Finding, Severity
from loopcast.health.day_summary import Aspect
from loopcast.health.drift import Measure
from loopcast.health.track_record import Values
from loopcast.stores.actions import ActionKind, ActionState
from loopcast.stores.conditions import AlertSeverity
from loopcast.stores.timeline import EventKind


class WindowFigures(Answer):
    """How the window of a look did."""

    n_judged: int
    n_due: int
    late_ratio: Known
    skill_ratio: Known
    coverage_80_ratio: Known
    coverage_95_ratio: Known
    mase: Known


class FoundCondition(Answer):
    """Something that a look found not to be as it should."""

    finding: Finding
    aspect: Aspect
    severity: Severity
    series_id: str | None
    sentence: str


class LastLook(Answer):
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


class HealthCurve(Answer):
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


class OpenAlert(Answer):
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


class OpenAction(Answer):
    """Something that monitoring has called for and that is not over."""

    kind: ActionKind
    state: ActionState
    model_version: int
    sentence: str
    triggered_at_utc: AwareDatetime
    n_attempts: int
    outcome: str


class HealthLinks(Answer):
    """Where more is to be seen; null where no address is known."""

    evidently: str | None
    mlflow: str | None
    """Of the training of the version in service."""


class Health(Answer):
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


class Event(Answer):
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


class Events(Answer):
    """What happened, the latest first."""

    problem: str
    events: list[Event]
    next_before: str | None
    """To be given as `before` for what lies further back; null where nothing does."""
