"""Conditions that people are told about, and how each begins and ends: pure, without a database.

Which figure is a condition is for the monitors to say. `alerts` remembers, `outbox` sends.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final
from uuid import UUID, uuid4

from pydantic import AfterValidator, BaseModel, Field

from loopcast.evidence.record import RECORD, Moment
from loopcast.stores.quarantine import storable

Key = tuple[str, str]
"""Kind and subject: what makes two conditions of one scope the same."""
NO_LINGER: Final[Mapping[str, timedelta]] = MappingProxyType({})
Text = Annotated[str, AfterValidator(storable)]


class AlertSeverity(StrEnum):
    """How soon somebody should look."""

    WARNING = "warning"
    """In the next days."""
    CRITICAL = "critical"
    """Now: forecasts are missing, or should not be acted on."""


class AlertState(StrEnum):
    """Where an alert stands; `docs/alerts.md` draws how it comes there."""

    RAISED = "raised"
    RECOVERED = "recovered"


class Condition(BaseModel):
    """Something that is wrong at present."""

    model_config = RECORD

    kind: Annotated[Text, Field(min_length=1)]
    """In snake case, such as `skill_lost`."""
    subject: Text
    """What it is about: a series, a model version, a workflow."""
    severity: AlertSeverity
    sentence: Text
    """What is wrong, for a person."""
    figures: dict[str, float] = {}
    """What it was concluded from, by name and unit; NaN where it could not be known."""
    action: Text = ""
    """What Loopcast did about it, in a sentence; empty for nothing."""
    link: Text = ""
    """Where to look: a report or an execution."""

    @property
    def key(self) -> Key:
        """What makes it the same condition as before."""
        return self.kind, self.subject


class Alert(Condition):
    """One episode of a condition: as it was when it was raised, and how it went on."""

    id: UUID = Field(default_factory=uuid4)
    problem: Text
    scope: Text
    """Who looks at the condition, such as one monitor: conditions that it no longer reports have recovered."""
    state: AlertState = AlertState.RAISED
    raised_at_utc: Moment
    last_seen_at_utc: Moment
    n_seen: int = 1
    """Looks at which the condition was there."""
    recovered_at_utc: Moment | None = None

    @property
    def changed_at_utc(self) -> datetime:
        """The last moment that it tells of."""
        return self.recovered_at_utc or self.last_seen_at_utc


@dataclass(frozen=True)
class AlertChanges:
    """What one look at a scope changed.

    Attributes:
        raised: New episodes, to be told.
        seen: Episodes that go on, of which nobody is told again.
        recovered: Episodes that ended, to be told.
    """

    raised: tuple[Alert, ...] = ()
    seen: tuple[Alert, ...] = ()
    recovered: tuple[Alert, ...] = ()


def compare_conditions(
    problem: str,
    scope: str,
    conditions: Iterable[Condition],
    latest: Mapping[Key, Alert],
    at_utc: datetime,
    linger: Mapping[str, timedelta] = NO_LINGER,
) -> AlertChanges:
    """What a look at a scope changes: new conditions are raised, those that are gone have recovered.

    A look that is older than what is known of a condition changes nothing about it; the same look twice neither. While
    a condition without a subject is there, those of its kind that have one are not over: it stands for all of them.

    Args:
        problem: Name of the problem.
        scope: Who looked.
        conditions: All that the scope found wrong.
        latest: The last episode of each condition of the scope.
        at_utc: When it was so.
        linger: Of kinds that come and go, how long one must not have been seen before it has recovered.

    Raises:
        ValueError: A condition is named twice.

    >>> noon = datetime.fromisoformat("2008-09-15T12:00Z")
    >>> drift = Condition(kind="drift", subject="GOOG", severity=AlertSeverity.WARNING, sentence="GOOG drifts")
    >>> (alert,) = compare_conditions("google", "drift", [drift], {}, noon).raised
    >>> later = compare_conditions("google", "drift", [drift], {alert.key: alert}, noon + timedelta(days=1))
    >>> later.raised, later.seen[0].n_seen
    ((), 2)
    >>> compare_conditions("google", "drift", [], {alert.key: alert}, noon + timedelta(days=1)).recovered[0].state
    <AlertState.RECOVERED: 'recovered'>
    """
    present: dict[Key, Condition] = {}
    for condition in conditions:
        if condition.key in present:
            raise ValueError(f"{problem}, {scope}: found {' of '.join(condition.key)} twice; needs it once")
        present[condition.key] = condition
    news = {key: alert for key, alert in latest.items() if alert.changed_at_utc <= at_utc}
    is_open = {key for key, alert in latest.items() if alert.state is AlertState.RAISED}
    return AlertChanges(
        raised=tuple(
            Alert(**dict(condition), problem=problem, scope=scope, raised_at_utc=at_utc, last_seen_at_utc=at_utc)
            for key, condition in present.items()
            if key not in is_open and (key not in latest or key in news)
        ),
        seen=tuple(
            alert.model_copy(update={"last_seen_at_utc": at_utc, "n_seen": alert.n_seen + 1})
            for key, alert in news.items()
            if key in is_open and key in present and alert.last_seen_at_utc < at_utc
        ),
        recovered=tuple(
            alert.model_copy(update={"state": AlertState.RECOVERED, "recovered_at_utc": at_utc})
            for key, alert in news.items()
            if key in is_open and key not in present and (alert.kind, "") not in present
            if at_utc - alert.last_seen_at_utc >= linger.get(alert.kind, timedelta(0))
        ),
    )
