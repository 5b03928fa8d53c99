"""A day's monitoring in a few hundred bytes, so that a year of days can be drawn: what was found, or how nearly."""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel

from loopcast.evidence.record import RECORD
from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.day import DayJudgement
from loopcast.health.drift import Measure, highest_excess
from loopcast.health.performance import Figures

MAX_CONDITIONS: Final = 50
"""Kept of one day, alerts first: where a feed breaks for a thousand series, each of them has one."""


class Aspect(StrEnum):
    """What a finding is about; each is a row of the strip of days."""

    DATA = "data"
    """Rows that come in."""
    FORECASTS = "forecasts"
    """Forecasts, and actuals to judge them by, are there in time."""
    DRIFT = "drift"
    """Inputs and forecasts look as they did in training."""
    SKILL = "skill"
    """Forecasts are as good as they should be."""


ASPECTS: Final = {
    Finding.NO_CHAMPION: Aspect.FORECASTS,
    Finding.NO_DATA: Aspect.DATA,
    Finding.DATA_REFUSED: Aspect.DATA,
    Finding.NO_FORECASTS: Aspect.FORECASTS,
    Finding.NO_LABELS: Aspect.FORECASTS,
    Finding.MISSING_STEPS: Aspect.DATA,
    Finding.LATE_SERIES: Aspect.DATA,
    Finding.DUPLICATED_ROWS: Aspect.DATA,
    Finding.REFUSED_ROWS: Aspect.DATA,
    Finding.OUT_OF_RANGE: Aspect.DATA,
    Finding.FROZEN_FEED: Aspect.DATA,
    Finding.NEW_SERIES: Aspect.DATA,
    Finding.VANISHED_SERIES: Aspect.DATA,
    Finding.CHANGES_DRIFTED: Aspect.DRIFT,
    Finding.VOLATILITY_DRIFTED: Aspect.DRIFT,
    Finding.WIDTH_DRIFTED: Aspect.DRIFT,
    Finding.LOCATION_DRIFTED: Aspect.DRIFT,
    Finding.LATE_LABELS: Aspect.FORECASTS,
    Finding.COVERAGE_OFF: Aspect.SKILL,
    Finding.SKILL_LOST: Aspect.SKILL,
    Finding.WORSE_THAN_PREDECESSOR: Aspect.SKILL,
}


class DaySummary(BaseModel):
    """What a day came to; NaN where there was nothing to judge."""

    model_config = RECORD

    n_rows: int
    """Of the window."""
    refused_ratio: float
    duplicated_ratio: float
    n_tests: int
    n_drifted: int
    drift_excess: dict[Measure, float]
    """How far the series that drifted furthest is on its way to the threshold: above 1 is drift."""
    n_due: int
    n_days: int
    """Judged days of the window."""
    late_ratio: float
    overall: Figures
    """Of the window."""
    skill_statistic: float
    """Highest of the look: excess loss gathered, in average daily losses of the baseline."""
    skill_threshold: float
    cooldown_days: int
    n_conditions: int
    conditions: tuple[Condition, ...]
    """The first `MAX_CONDITIONS`."""

    def severity_of(self, aspect: Aspect) -> Severity | None:
        """The worst that was found about an aspect, None for nothing."""
        found = {each.severity for each in self.conditions if ASPECTS[each.finding] is aspect}
        return next((severity for severity in (Severity.ALERT, Severity.NOTICE) if severity in found), None)


def summarize_judgement(judgement: DayJudgement) -> DaySummary:
    """What is kept of a day for drawing; its report and Evidently's run have the rest."""
    quality, drift, performance, skill = judgement.quality, judgement.drift, judgement.performance, judgement.skill
    conditions = sorted(judgement.verdict.conditions, key=lambda each: each.severity is not Severity.ALERT)
    return DaySummary(
        n_rows=quality.n_rows,
        refused_ratio=quality.refused_ratio,
        duplicated_ratio=quality.duplicated_ratio,
        n_tests=len(drift.tests),
        n_drifted=sum(each.is_drifted for each in drift.tests),
        drift_excess={measure: highest_excess(drift, measure) for measure in Measure},
        n_due=performance.n_due,
        n_days=performance.n_days,
        late_ratio=performance.late_ratio,
        overall=performance.overall,
        skill_statistic=max(skill.statistics, default=skill.state.statistic),
        skill_threshold=skill.threshold,
        cooldown_days=skill.state.cooldown_days,
        n_conditions=len(conditions),
        conditions=tuple(conditions[:MAX_CONDITIONS]),
    )
