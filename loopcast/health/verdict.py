"""What the findings of a day come to: tell somebody, train again, or go back to the model before."""

from pydantic import BaseModel

from loopcast.evidence.formats import format_percent
from loopcast.evidence.record import RECORD
from loopcast.health.condition import Condition, Finding, Severity
from loopcast.health.drift import Drift
from loopcast.health.performance import Performance
from loopcast.health.quality import DataQuality
from loopcast.health.shadow import Shadow
from loopcast.health.skill_cusum import SkillWatch
from loopcast.sections.monitoring import Monitoring


class Verdict(BaseModel):
    """What is to be done, and why."""

    model_config = RECORD

    is_alerting: bool
    """Whether there is a condition that somebody must be told of."""
    needs_retraining: bool
    """Whether skill was lost and going back does not help."""
    needs_rollback: bool
    """Whether the champion does worse than its predecessor."""
    conditions: tuple[Condition, ...]


def reach_verdict(
    quality: DataQuality,
    drift: Drift,
    performance: Performance,
    skill: SkillWatch,
    shadow: Shadow | None,
    limits: Monitoring,
    *,
    forecast_lag_steps: int | None = None,
) -> Verdict:
    """Weigh a day's findings: drift alone alerts, loss of skill retrains, a worse champion is rolled back.

    Args:
        shadow: None where the champion has no predecessor.
        forecast_lag_steps: Steps from the last forecast, by whichever version, to the last row that could have had one;
            None where nothing is known of any forecast.
    """
    needs_rollback = shadow is not None and shadow.is_worse
    has_lost_skill = bool(skill.triggers)
    conditions = [*quality.conditions, *drift.conditions, *_check_performance(performance, limits, forecast_lag_steps)]
    if has_lost_skill or skill.state.is_lost:
        conditions.append(_tell_loss(skill, performance))
    if shadow is not None and needs_rollback:
        conditions.append(_tell_worse(shadow))
    return Verdict(
        is_alerting=any(condition.severity is Severity.ALERT for condition in conditions),
        needs_retraining=has_lost_skill and not needs_rollback,
        needs_rollback=needs_rollback,
        conditions=tuple(conditions),
    )


def _check_performance(performance: Performance, limits: Monitoring, lag_steps: int | None) -> list[Condition]:
    n_due, overall = performance.n_due, performance.overall
    if lag_steps is None and performance.n_steps == 0:
        return [
            Condition(finding=Finding.NO_FORECASTS, sentence="No forecast in the window; look at the forecasting run")
        ]
    if lag_steps is not None and lag_steps > limits.late_steps:
        sentence = f"The last forecast is {lag_steps} steps older than the last row; look at the forecasting run"
        figures = {"lag_steps": float(lag_steps), "limit": float(limits.late_steps)}
        return [Condition(finding=Finding.NO_FORECASTS, figures=figures, sentence=sentence)]
    if n_due and overall.n_judged == 0:
        sentence = f"None of {n_due} steps that are due has an actual; look at the ingestion"
        return [Condition(finding=Finding.NO_LABELS, figures={"n_due": n_due}, sentence=sentence)]
    conditions = []
    if performance.late_ratio > limits.max_late_ratio:
        sentence = f"{format_percent(performance.late_ratio)} of {n_due} steps that are due have no actual yet"
        figures = {"late_ratio": performance.late_ratio, "limit": limits.max_late_ratio}
        conditions.append(Condition(finding=Finding.LATE_LABELS, figures=figures, sentence=sentence))
    if performance.n_days >= limits.min_judged:
        for nominal, found in ((0.80, overall.coverage_80_ratio), (0.95, overall.coverage_95_ratio)):
            tolerance = limits.tolerance(nominal)
            if abs(found - nominal) > tolerance:
                sentence = (
                    f"The {nominal:.0%} interval held {format_percent(found)} of the actuals over {performance.n_days} "
                    f"days; expected within {format_percent(tolerance)} of {nominal:.0%}"
                )
                figures = {"nominal_ratio": nominal, "coverage_ratio": found, "tolerance": tolerance}
                conditions.append(Condition(finding=Finding.COVERAGE_OFF, figures=figures, sentence=sentence))
                break
    return conditions


def _tell_loss(skill: SkillWatch, performance: Performance) -> Condition:
    skill_ratio = performance.overall.skill_ratio
    if not skill.triggers:
        left = skill.state.cooldown_days
        return Condition(
            finding=Finding.SKILL_LOST,
            figures={"skill_ratio": skill_ratio, "cooldown_days": left},
            sentence=(
                f"Skill was lost on {skill.state.triggered_on:%Y-%m-%d}, and the champion is the same; it is asked "
                f"again in {left} judged days; skill over the window is {format_percent(skill_ratio)}"
            ),
        )
    day = skill.triggers[-1]
    highest = max(skill.statistics)
    return Condition(
        finding=Finding.SKILL_LOST,
        figures={"statistic": highest, "threshold": skill.threshold, "skill_ratio": skill_ratio},
        sentence=(
            f"On {day:%Y-%m-%d} the loss beyond the EWMA baseline's had gathered to {highest:.2f} daily losses, over "
            f"{skill.threshold:.2f}; skill over the window is {format_percent(skill_ratio)}"
        ),
    )


def _tell_worse(shadow: Shadow) -> Condition:
    found, watch = shadow.vs_champion, shadow.watch
    if watch.triggers:
        how = f"its loss beyond the predecessor's gathered to {max(watch.statistics):.2f} daily losses"
    else:
        how = f"the predecessor's loss is {format_percent(found.gain_ratio)} lower, p = {found.p_value:.4f}"
    return Condition(
        finding=Finding.WORSE_THAN_PREDECESSOR,
        figures={"gain_ratio": found.gain_ratio, "p_value": found.p_value, "n_dates": found.n_dates},
        sentence=f"The champion does worse than the one before it: {how}, over {found.n_dates} days",
    )
