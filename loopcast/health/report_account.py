"""All that a day's monitoring found, in one place: what the report shows and what Evidently keeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from loopcast.config import Problem
from loopcast.health.drift import Drift
from loopcast.health.histogram import Histogram
from loopcast.health.performance import Performance
from loopcast.health.quality import DataQuality
from loopcast.health.shadow import Shadow
from loopcast.health.skill_cusum import SkillWatch
from loopcast.health.steps import Column
from loopcast.health.verdict import Verdict
from loopcast.sections.monitoring import Monitoring


class Event(NamedTuple):
    """A decision or an alert, as a row of the report."""

    moment_utc: datetime
    kind: str
    """In a word or two: `promoted`, `alert raised`."""
    sentence: str


class Pair(NamedTuple):
    """One column in the window and in training, in the same bins."""

    live: Histogram
    trained: Histogram


@dataclass(frozen=True)
class MonitoringAccount:
    """One problem on one day.

    Attributes:
        model_version: The champion.
        as_of: Until when things could be known, UTC.
        since_utc: Begin of the window.
        skill: The CUSUM over as many days as are to be seen, today the last.
        shadow: None where the champion has no predecessor.
        columns: Of each column that both the window and the profile have.
        events: Decisions and alerts, the latest first.
    """

    problem: Problem
    limits: Monitoring
    model_version: int
    as_of: datetime
    since_utc: datetime
    quality: DataQuality
    drift: Drift
    performance: Performance
    skill: SkillWatch
    shadow: Shadow | None
    verdict: Verdict
    columns: Mapping[Column, Pair]
    events: tuple[Event, ...] = ()


def pair_columns(
    window: Mapping[tuple[int, Column], Histogram], trained: Mapping[Column, Histogram], model_version: int
) -> dict[Column, Pair]:
    """The columns of one version that were seen in the window and in training, in the order of `Column`.

    Args:
        window: Roll-ups by version and column.
        trained: From the version's profile; those of other edges cannot be compared and are left out.
    """
    found = {}
    for column in Column:
        live, reference = window.get((model_version, column)), trained.get(column)
        if live is not None and reference is not None and live.bins == reference.bins:
            found[column] = Pair(live, reference)
    return found
