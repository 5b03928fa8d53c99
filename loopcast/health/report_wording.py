"""A day's monitoring in words and cells, which the page sets."""

import math
from collections.abc import Iterator
from typing import Final

from loopcast.evidence.comparison import MIN_DATES
from loopcast.evidence.formats import format_gain, format_loss, format_percent, format_value, name_loss_unit
from loopcast.evidence.page import Tile
from loopcast.health.condition import Severity
from loopcast.health.drift import LEVELS, DriftTest, Measure
from loopcast.health.performance import Figures
from loopcast.health.profile import LEAST_WINDOWS
from loopcast.health.report_account import MonitoringAccount
from loopcast.health.watched import POOLED

MEASURES: Final = {
    Measure.KS: "Changes, Kolmogorov-Smirnov",
    Measure.WASSERSTEIN: "Changes, Wasserstein",
    Measure.VOLATILITY: "Volatility, log",
    Measure.WIDTH: "Width of the 80 % interval",
    Measure.LOCATION: "Place of the median",
}


def name_standing(account: MonitoringAccount) -> tuple[str, str]:
    """The verdict as a CSS class and in a word or two."""
    verdict = account.verdict
    if verdict.needs_rollback:
        return "bad", "roll back"
    if verdict.needs_retraining:
        return "bad", "train again"
    if verdict.is_alerting:
        return "bad", "look into it"
    return ("good", "sound") if account.performance.overall.n_judged else ("open", "nothing to judge")


def tell_verdict(account: MonitoringAccount) -> str:
    """The verdict in one sentence."""
    n_alerts = sum(each.severity is Severity.ALERT for each in account.verdict.conditions)
    told = f"{_count(n_alerts, 'condition')} to be told of"
    if account.verdict.needs_rollback:
        return f"The champion does worse than the one before it, which goes back into service: {told}."
    if account.verdict.needs_retraining:
        return f"The champion has lost its skill, so a training begins: {told}."
    if n_alerts:
        return f"Nothing that calls for a training or a rollback, but {told}."
    return f"Nothing that somebody must be told of: {_tell_skill(account)}."


def tell_early(account: MonitoringAccount) -> str:
    """What is known of steps that have not come true."""
    performance, unit = account.performance, name_loss_unit(account.problem)
    if not math.isfinite(performance.expected_loss):
        return "No early estimate: every step has come true, or none yet."
    return (
        f"Of the steps that have not come true, volatility at their origins lets expect a loss of "
        f"{format_loss(account.problem, performance.expected_loss)} {unit}; over those that have it was "
        f"{format_loss(account.problem, performance.overall.loss)} {unit}."
    )


def tell_drift(account: MonitoringAccount) -> str:
    """What the thresholds promise, and from what they were made."""
    drift = account.drift
    if not drift.tests and not drift.n_untested:
        return f"Nothing was tested: no series has {LEAST_WINDOWS} windows of training data, which a threshold needs."
    if not drift.tests:
        return f"Nothing was tested: {_count(drift.n_untested, 'series', 'series')} had too few values in the window."
    untested = f"; {drift.n_untested} had too few values" if drift.n_untested else ""
    return (
        f"{_count(len(drift.tests), 'test')} of {_count(len({t.series_id for t in drift.tests}), 'track')}{untested}. "
        f"Thresholds come from the champion's training data: distances from the highest of a year's windows in 100 "
        f"resampled years, levels from the extremes of the years seen. Holm's procedure holds all tests together to "
        f"{drift.false_alarms_per_year:g} false alarms a year where nothing has changed. The chance is that of an "
        "unchanged year to show as much at least once."
    )


def fill_tiles(account: MonitoringAccount) -> Iterator[Tile]:
    """What is read first."""
    performance, limits = account.performance, account.limits
    _, t = format_gain(performance.vs_ewma)
    days = f"over {_count(performance.n_days, 'day')}"
    note = f"t = {t}, {days}" if performance.n_days >= MIN_DATES else f"{days}: too few to tell it from chance"
    yield Tile("Skill over EWMA", format_percent(performance.overall.skill_ratio, sign="+"), note)
    overall = performance.overall
    for nominal, found in ((0.80, overall.coverage_80_ratio), (0.95, overall.coverage_95_ratio)):
        label = f"{format_percent(nominal, digits=0)} interval held"
        yield Tile(label, format_percent(found), f"tolerated: ± {100 * limits.tolerance(nominal):.0f} points")
    yield Tile("Labels known", format_percent(performance.label_ratio, digits=0),
               f"late: {format_percent(performance.late_ratio)} of {performance.n_due:,} due")  # fmt: skip
    n_drifted = sum(each.is_drifted for each in account.drift.tests)
    promise = f"{account.drift.false_alarms_per_year:g} false alarms a year"
    yield Tile("Tests that found drift", f"{n_drifted} of {len(account.drift.tests)}", promise)


def fill_performance(account: MonitoringAccount) -> Iterator[tuple[str, list[str]]]:
    """A row for each horizon and series, and for all together."""
    performance = account.performance
    yield "All", _fill_figures(account, performance.overall)
    for horizon, figures in performance.by_horizon.items():
        yield f"Horizon {horizon}", _fill_figures(account, figures)
    if len(performance.by_series) > 1:
        for name, figures in performance.by_series.items():
            yield name, _fill_figures(account, figures)


def fill_drift(account: MonitoringAccount) -> Iterator[tuple[DriftTest, list[str]]]:
    """A row for each test, the least probable first."""
    for each in sorted(account.drift.tests, key=lambda test: test.yearly_probability):
        expected = f"≤ {each.high:.3f}"
        if each.measure in LEVELS:
            expected = f"{each.low:.2f} to {each.high:.2f}"
        yield (
            each,
            [
                "all together" if each.series_id == POOLED else each.series_id,
                MEASURES[each.measure],
                f"{each.statistic:.3f}",
                f"{each.trained:.3f}" if each.measure in LEVELS else "",
                expected,
                format_percent(each.yearly_probability, digits=1 if each.yearly_probability >= 0.001 else 4),
                f"{each.n_values:,}",
            ],
        )


def fill_quality(account: MonitoringAccount) -> Iterator[tuple[str, list[str]]]:
    """A row for each series."""
    for name, found in account.quality.series.items():
        yield (
            name,
            [
                f"{found.n_rows:,}",
                format_percent(found.missing_ratio),
                f"{found.lag_steps}",
                f"{found.repeats}",
                format_value(found.largest_change),
            ],
        )


def _fill_figures(account: MonitoringAccount, figures: Figures) -> list[str]:
    return [
        f"{figures.n_judged:,}",
        format_loss(account.problem, figures.loss),
        format_percent(figures.skill_ratio, sign="+"),
        format_percent(figures.coverage_80_ratio),
        format_percent(figures.coverage_95_ratio),
        format_value(figures.mase),
    ]


def _tell_skill(account: MonitoringAccount) -> str:
    performance = account.performance
    if performance.n_steps == 0:
        return "there are no forecasts in the window"
    if not performance.overall.n_judged:
        return f"none of {performance.n_steps:,} forecast steps has come true yet"
    side = "below" if performance.overall.skill_ratio >= 0 else "above"
    return (
        f"the loss is {format_percent(abs(performance.overall.skill_ratio))} {side} the EWMA baseline's over "
        f"{_count(performance.n_days, 'day')}"
    )


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"
